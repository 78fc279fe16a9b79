"""Shards: as many ranks and workers as there may be see each image once, near and far, and no tar file hurts."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from webdataset.compat import WebDataset
from webdataset.writer import TarWriter

from impasto import cli
from impasto.data.crops import CropDataset, StreamSampler
from impasto.data.shard_index import records
from impasto.data.shards import Shard, ShardImages, expand, open_shards
from impasto.data.tar_headers import Place, Torn, scan
from impasto.errors import DataError
from impasto.images.finding import find_images
from impasto.images.reading import read_image
from impasto.images.writing import write_image
from impasto.training.data_module import ContentDataModule
from impasto.training.overrides import to_overrides

EACH = 12  # photographs in the folder that the fixture packs


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("impasto.data.shard_store._PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))


class Written(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def write(folder: Path, output: Path, *words: object) -> Written:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(list(map(str, ["shards", folder, "-o", output, *words])))
    return Written(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def packed(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photographs in four shards, with their index."""
    output = tmp_path_factory.mktemp("packed")
    result = write(photographs, output, "--shards", 4, "--size", 64)
    assert result.returncode == 0 and result.stdout.strip() == str(output / "index.json"), result.stderr
    return output


@pytest.fixture
def copied(packed: Path, tmp_path: Path) -> Path:
    """The same shards, to be hurt."""
    folder = tmp_path / "copied"
    folder.mkdir()
    for path in packed.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def crops(source: ShardImages, seed: int = 0) -> CropDataset:
    return CropDataset(source, crop=32, seed=seed)


class _Numbered(CropDataset):
    """Tells with each crop which image it is of."""

    def __getitem__(self, number: int) -> dict[str, Any]:
        epoch, position = divmod(number, len(self))
        return {**super().__getitem__(number), "index": int(self.order(epoch)[position])}


@pytest.mark.parametrize(("ranks", "workers"), [(1, 0), (2, 2), (3, 1)])
def test_ranks_and_workers_together_see_each_image_once(packed: Path, ranks: int, workers: int) -> None:
    seen = []
    for rank in range(ranks):
        sampler = StreamSampler(2, 0, rank, ranks)
        loader = DataLoader(_Numbered(open_shards(str(packed)), 32, 0), batch_sampler=sampler, num_workers=workers)
        seen += [i for batch in islice(loader, EACH // (2 * ranks)) for i in batch["index"].tolist()]
    assert sorted(seen) == list(range(EACH))


def test_the_stream_is_a_pure_function_and_resumes_exactly(packed: Path) -> None:
    straight = list(islice(DataLoader(crops(open_shards(str(packed))), batch_sampler=StreamSampler(2)), 9))
    resumed = DataLoader(crops(open_shards(f"{packed}/{{0000..0003}}.tar")), batch_sampler=StreamSampler(2, start=5))
    for before, after in zip(straight[5:], islice(resumed, 4), strict=True):
        assert torch.equal(before["image"], after["image"])
    assert not torch.equal(crops(open_shards(str(packed)), seed=1)[0]["image"], straight[0]["image"][0])


def test_shards_hold_what_the_folder_holds(packed: Path, photographs: Path) -> None:
    found, source = find_images([photographs]), open_shards(str(packed))
    by_number = {int(source.name(i).rpartition(":")[2][:8]): i for i in range(len(source))}
    for number, path in enumerate(found):
        wanted = read_image(path)
        read = source.read(by_number[number])
        assert read.shape == (3, 64, 64)
        small = torch.nn.functional.interpolate(wanted[None], size=64, mode="bicubic", antialias=True)[0]
        assert (read - small.clamp(0, 1)).abs().mean() < 0.03


def test_without_an_index_the_headers_say_the_same(copied: Path) -> None:
    indexed = open_shards(str(copied))
    (copied / "index.json").unlink()
    scanned = open_shards(str(copied))
    assert [shard.places for shard in scanned.shards] == [shard.places for shard in indexed.shards]


def test_webdataset_reads_them(packed: Path) -> None:
    urls = [str(path) for path in sorted(packed.glob("*.tar"))]
    decoded: Any = WebDataset(urls, shardshuffle=False, empty_check=False).decode("pil")  # its type cannot be iterated
    samples = list(decoded)
    assert len(samples) == EACH == len({sample["__key__"] for sample in samples})
    assert {sample["jpg"].size for sample in samples} == {(64, 64)}


def test_what_webdataset_writes_is_read(tmp_path: Path, photographs: Path) -> None:
    with TarWriter(str(tmp_path / "a.tar")) as sink:
        for path in find_images([photographs]):
            sink.write({"__key__": "x" * 150 + path.stem, "png": path.read_bytes(), "json": {"seen": 1}})
    source = open_shards(str(tmp_path / "a.tar"))
    assert len(source) == EACH and all(source.name(i).endswith(".png") for i in range(EACH))
    assert source.read(3).shape == (3, 96, 96)


def test_writing_goes_on_and_gives_the_same_bytes(packed: Path, copied: Path, photographs: Path) -> None:
    kept = (copied / "0002.tar").stat().st_mtime_ns
    (copied / "0001.tar").write_bytes(b"torn")
    (copied / "0003.tar").unlink()
    result = write(photographs, copied, "--shards", 4, "--size", 64, "--jobs", 1)
    assert result.returncode == 0 and "2 of 4 shards are there already" in result.stderr
    assert (copied / "0002.tar").stat().st_mtime_ns == kept
    for path in packed.iterdir():
        assert path.read_bytes() == (copied / path.name).read_bytes(), path.name


def test_writing_leaves_bad_photographs_out_and_strange_shards_alone(photographs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    for path in find_images([photographs])[:4]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff nothing")
    result = write(folder, tmp_path / "out", "--shards", 2, "--size", 64)
    assert result.returncode == 1 and result.stderr.count("left out") == 1 and "torn.jpg" in result.stderr
    assert len(open_shards(str(tmp_path / "out"))) == 4
    fewer = write(folder, tmp_path / "out", "--shards", 1)
    assert fewer.returncode == 2 and "0001.tar" in fewer.stderr and "Traceback" not in fewer.stderr
    nothing = write(tmp_path / "nowhere", tmp_path / "out")
    assert nothing.returncode == 2 and "Traceback" not in nothing.stderr


def hurt(folder: Path, how: str) -> None:
    path = folder / "0001.tar"
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_a_lost_shard_is_named_and_the_run_goes_on(
    copied: Path, how: str, indexed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    hurt(copied, how)
    if not indexed:
        (copied / "index.json").unlink()
    data = ContentDataModule(shards=f"{copied}/{{0000..0003}}.tar", crop=32, max_bad=0.4, heldout=1, heldout_size=32)
    data.setup()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("set aside")]
    assert len(lines) == 1 and "0001.tar" in lines[0] and data.bad.count == 3
    for number in range(2 * len(data.dataset)):
        sample = data.dataset[number]
        data.on_before_batch_transfer({"image": sample["image"][None], "bad": torch.tensor([sample["bad"]])}, 0)
    assert data.bad.count == 3 and not capsys.readouterr().err
    strict = ContentDataModule(shards=f"{copied}/{{0000..0003}}.tar", crop=32, heldout_size=32)
    with pytest.raises(DataError, match=r"3 of \d+ images are bad.*max_bad"):
        strict.setup()


def test_a_shard_lost_in_the_middle_is_set_aside_as_a_whole(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ContentDataModule(shards=str(copied), crop=32, max_bad=0.4, heldout=0)
    data.setup()
    data.dataset.cache.clear()  # as if the set had been too large for it
    hurt(copied, "missing")
    for batch in islice(DataLoader(data.dataset, batch_sampler=StreamSampler(2), num_workers=1), EACH):
        assert data.on_before_batch_transfer(batch, 0).shape == (2, 3, 32, 32)
    assert capsys.readouterr().err.count("set aside") == 1 and data.bad.count == 3


def test_a_hiccup_is_waited_for(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, tries = open_shards(str(packed)), []
    fetched = Shard._fetched

    def moody(shard: Shard, place: Place) -> bytes:
        tries.append(place)
        if len(tries) < 3:
            raise OSError("the line is busy")
        return fetched(shard, place)

    monkeypatch.setattr(Shard, "_fetched", moody)
    assert source.read(0).shape[0] == 3 and len(tries) == 3


class _Server(SimpleHTTPRequestHandler):
    """A quiet file server; `ranges` is whether it sends parts of files."""

    ranges = True

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        wanted, path = self.headers.get("Range"), Path(self.translate_path(self.path))
        self.server.asked.append((self.path, wanted))  # type: ignore[attr-defined]
        if not (self.server.ranges and wanted and path.is_file()):  # type: ignore[attr-defined]
            return super().do_GET()
        first, last = wanted.removeprefix("bytes=").split("-")
        data = path.read_bytes()
        part = data[int(first) : int(last or len(data)) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)


@pytest.fixture
def server(copied: Path) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Server, directory=str(copied)))
    server.asked, server.ranges = [], True  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("ranges", [True, False])
def test_shards_over_http_are_those_on_disk_and_fetched_once(
    server: ThreadingHTTPServer, copied: Path, ranges: bool
) -> None:
    server.ranges = ranges  # type: ignore[attr-defined]
    near, far = open_shards(str(copied)), open_shards(f"http://127.0.0.1:{server.server_port}")
    for index in range(EACH):
        assert torch.equal(near.read(index), far.read(index))
    loader = DataLoader(crops(far), batch_sampler=StreamSampler(2), num_workers=2)  # forked after the first use
    wanted = crops(near)
    for step, batch in enumerate(islice(loader, 6)):
        assert torch.equal(batch["image"][0], wanted[2 * step]["image"])
    fetched = [path for path, _ in server.asked if path.endswith(".tar")]  # type: ignore[attr-defined]
    assert len(fetched) == (EACH if ranges else 4)


def test_headers_are_read_over_http_and_a_missing_shard_is_named(server: ThreadingHTTPServer, copied: Path) -> None:
    (copied / "index.json").unlink()
    hurt(copied, "missing")
    far = open_shards(f"http://127.0.0.1:{server.server_port}/{{0000..0003}}.tar")
    assert len(far) == 9 and [name.rpartition("/")[2] for name, _, _ in far.faults()] == ["0001.tar"]
    assert far.read(0).shape == (3, 64, 64)


def test_workers_fetch_from_afar(server: ThreadingHTTPServer) -> None:
    far = open_shards(f"http://127.0.0.1:{server.server_port}")
    loader = DataLoader(crops(far), batch_sampler=StreamSampler(3), num_workers=2)
    assert [batch["bad"].tolist() for batch in islice(loader, 4)] == [[-1] * 3] * 4


def test_mistakes_are_one_line(tmp_path: Path, packed: Path) -> None:
    for shards, told in (
        (str(tmp_path / "no.tar"), "not there"), (str(tmp_path), "0 shards"), ([], "0 shards"),
        ("nonsense://a/b.tar", "impasto"), ("{0..9999999}.tar", "more than"), ("{1..999}{1..999}.tar", "more than"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=told):
            open_shards(shards)
    mistakes: list[dict[str, Any]] = [
        {}, {"root": packed, "shards": "x.tar"}, {"shards": "x.tar", "include": ["*.jpg"]},
    ]  # fmt: skip
    for options in mistakes:
        with pytest.raises(DataError, match="give one"):
            ContentDataModule(**options)


@pytest.mark.parametrize(("mode", "tool"), [("gz", "gunzip"), ("bz2", "bunzip2"), ("xz", "unxz")])
def test_a_compressed_shard_is_named_as_such(mode: str, tool: str, tmp_path: Path, photographs: Path) -> None:
    with tarfile.open(tmp_path / f"a.tar.{mode}", f"w:{mode}") as shard:  # type: ignore[call-overload]
        shard.add(photographs, "photographs")
    for shards in (tmp_path / f"a.tar.{mode}", tmp_path):
        with pytest.raises(DataError, match=rf"a\.tar\.{mode}: compressed \({tool} it\)"):
            open_shards(str(shards))


def test_patterns() -> None:
    assert expand("a/{08..11}.tar") == ["a/08.tar", "a/09.tar", "a/10.tar", "a/11.tar"]
    assert expand("{a,b}/{0..1}.tar") == ["a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar"]
    assert expand("plain {name}.tar") == ["plain {name}.tar"]


def test_the_command_line_takes_patterns_as_they_are() -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = to_overrides(None, ["p.jpg", "data.shards=a b/{0000..0007}.tar"])
    assert words[0] == "data=shards"
    (override,) = OverridesParser.create().parse_overrides([words[-1]])
    assert override.value() == "a b/{0000..0007}.tar"


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **fields: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data), kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + data + b"\0" * (-len(data) % 512)


JPEG = io.BytesIO()
write_image(JPEG, torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0)), format="jpg")
GOOD, END = member("good.jpg", JPEG.getvalue()), b"\0" * 1024
HOSTILE = {
    "empty": b"", "rubbish": b"\x07" * 5000, "gzip": b"\x1f\x8b" + b"\0" * 600, "no end": GOOD,
    "huge": member("huge.jpg", size=2**60) + END, "large": member("large.jpg", size=8**11 - 1) + END,
    "negative": member("less.jpg", size=-512) + END, "sparse": member("holes.jpg", kind=b"S") + END,
    "name without end": member("././@LongLink", size=2**33 - 1, kind=b"L") + END,
    "long name": member("././@LongLink", b"x" * 20_000, kind=b"L") + END,
    "pax size": member("pax", b"19 size=9999999999\n", kind=b"x") + GOOD + END,
    "pax sparse": member("pax", b"22 GNU.sparse.major=1\n", kind=b"x") + GOOD + END,
    "cut": GOOD[:-600],
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tar_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(HOSTILE[name])
    with pytest.raises(DataError) as caught:
        open_shards(str(tmp_path / "a.tar"))
    assert "a.tar" in str(caught.value) and str(caught.value).count("\n") <= 1


def test_members_that_are_no_images_are_passed_over_and_names_lead_nowhere(tmp_path: Path) -> None:
    odd = [
        member("link.jpg", kind=tarfile.SYMTYPE, linkname="/etc/passwd"), member("hard.jpg", kind=tarfile.LNKTYPE),
        member("device.jpg", kind=tarfile.CHRTYPE), member("pipe.jpg", kind=tarfile.FIFOTYPE),
        member("folder.jpg", kind=tarfile.DIRTYPE), member("empty.jpg"), member("notes.txt", b"x"),
        member("../../up.jpg", JPEG.getvalue()), member("/root.jpg", JPEG.getvalue()),
        member("bad\x1b[2J.jpg", b"rubbish"),
    ]  # fmt: skip
    (tmp_path / "a.tar").write_bytes(b"".join(odd) + GOOD + END)
    before = {path for path in tmp_path.parent.rglob("*") if path.is_file()}
    source = open_shards(str(tmp_path / "a.tar"))
    assert [source.shards[0].places[i].name for i in range(4)] == [
        "../../up.jpg",
        "/root.jpg",
        "bad\\x1b[2J.jpg",
        "good.jpg",
    ]
    assert source.read(0).shape == source.read(3).shape == (3, 40, 40)
    sample = crops(source.subset([2, 3]))[0]
    assert sample["image"].shape == (3, 32, 32)
    assert {path for path in tmp_path.parent.rglob("*") if path.is_file()} == before


def test_a_pipe_is_no_shard(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(DataError, match="not a regular file"):
        open_shards(str(tmp_path / "a.tar"))


@given(st.integers(0, 1535), st.binary(min_size=1, max_size=24))
@settings(max_examples=300, deadline=None)
def test_no_damage_to_a_header_does_worse_than_a_line(place: int, junk: bytes) -> None:
    whole = member("././@LongLink", b"y" * 120 + b".jpg\0", kind=b"L") + GOOD + END
    damaged = (whole[:place] + junk + whole[place + len(junk) :])[: len(whole)]
    try:
        places = scan(io.BytesIO(damaged), len(damaged))
    except Torn:
        return
    assert all(found.size > 0 and found.offset + found.size <= len(damaged) for found in places)


@pytest.mark.parametrize("change", [
    lambda index: index["shards"].update({"../x.tar": index["shards"]["0000.tar"]}),
    lambda index: index["shards"].update({"http:x": index["shards"]["0000.tar"]}),
    lambda index: index["shards"]["0000.tar"]["images"].append(["x", 0, 10**12]),
    lambda index: index["shards"]["0000.tar"]["images"].append(["x", -5, 10]),
    lambda index: index["shards"]["0000.tar"]["images"].append([7, 0, 10]),
    lambda index: index["shards"]["0000.tar"]["images"].append("xyz"),
    lambda index: index["shards"]["0000.tar"].pop("sha256"),
    lambda index: index.update(format="other"), lambda index: index.update(shards=[1]),
])  # fmt: skip
def test_a_hostile_index_is_one_line(copied: Path, change: Callable[[dict[str, Any]], object]) -> None:
    index = json.loads((copied / "index.json").read_bytes())
    assert len(records((copied / "index.json").read_bytes())) == 4
    change(index)
    (copied / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=r"index\.json: not an index of shards") as caught:
        open_shards(str(copied))
    assert "\n" not in str(caught.value)


def test_the_digest_of_the_listing_tells_sets_apart(packed: Path, copied: Path) -> None:
    assert open_shards(str(packed)).listing_digest() == open_shards(str(copied)).listing_digest()
    assert open_shards(str(packed)).listing_digest() != open_shards(f"{packed}/{{0000..0002}}.tar").listing_digest()
    assert len(np.unique(open_shards(str(packed)).chosen, axis=0)) == EACH
