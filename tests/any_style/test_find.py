"""From what people type to the file of a painter, and what is kept of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.predictors import rewritten, style_picture
from impasto.any_style import find, predict
from impasto.any_style.files import is_style_vector, save_style_vector
from impasto.any_style.find import find_painter, find_vector, is_kept, is_predicted
from impasto.checkpoint import load_style_model, shipped_styles
from impasto.errors import ImageError, ImpastoError, ModelError, UsageError
from impasto.inference.engine import is_installed
from impasto.system.files import asset_dir

SIZE = 64
_PAINTS = """
import sys
from impasto import cli
code = cli.main(["stylize", "photo.png", "-s", sys.argv[1], "--device", "cpu", "--backend", "openvino"])
print(code, "torch" in sys.modules)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the painters that are predicted from here on."""
    names: list[str] = []
    make = predict.predicted_style_model
    monkeypatch.setattr(predict, "predicted_style_model", lambda vector: (names.append(vector.name), make(vector))[1])
    return names


def kept(place: Path) -> set[str]:
    return {path.name for path in (place.parent / "cache" / "predicted").glob("*/*")}


def test_names_and_style_models_are_what_they_were(place: Path, painter: Path) -> None:
    wave = asset_dir("checkpoints") / "wave.safetensors"
    assert find_painter("wave") == find_painter("wave:1") == find_painter(wave) == wave
    assert find_painter(painter) == painter == find_painter(str(painter))
    assert not is_predicted(wave) and not kept(place)


def test_a_pictures_painter_is_predicted_once(place: Path, predicted: list[str]) -> None:
    style_picture(place / "a.png")
    first = find_painter("a.png", SIZE)
    assert is_predicted(first) and is_kept(first) and load_style_model(first).name == "a"
    assert find_painter("a.png", SIZE) == first == find_painter(Path("a.png"), SIZE) == find_painter("a.png:1", SIZE)
    assert predicted == ["a"] and kept(place) == {"a.safetensors"}


def test_another_picture_size_weight_or_name_is_another_painter(place: Path, predicted: list[str]) -> None:
    style_picture(place / "a.png", 1)
    found = {find_painter("a.png", SIZE), find_painter("a.png", 2 * SIZE)}
    found |= {find_painter(f"a.png:{weight},wave:{1 - weight}", SIZE) for weight in (0.25, 0.75)}
    shutil.copy("a.png", "b.png")
    found.add(find_painter("b.png", SIZE))
    style_picture(place / "a.png", 2)
    found.add(find_painter("a.png", SIZE))
    assert len(found) == len(predicted) == 6
    assert sorted(set(predicted)) == ["a", "a-25+wave-75", "a-75+wave-25", "b"]


def test_a_vector_paints_what_its_picture_paints(place: Path) -> None:
    style_picture(place / "a.png")
    save_style_vector(Path("a.vector.safetensors"), find_vector("a.png", SIZE))
    assert is_style_vector(Path("a.vector.safetensors"))
    of_picture, of_vector = (find_painter(style, SIZE) for style in ("a.png", "a.vector.safetensors"))
    assert of_picture.name == of_vector.name == "a.safetensors" and of_picture != of_vector
    one, other = (load_style_model(path).network.state_dict() for path in (of_picture, of_vector))
    assert all(one[name].equal(other[name]) for name in one)


def test_a_damaged_painter_in_the_cache_is_predicted_again(place: Path, predicted: list[str]) -> None:
    style_picture(place / "a.png")
    path = find_painter("a.png", SIZE)
    whole = path.read_bytes()
    for torn in (b"", whole[:-100], b"noise"):
        path.write_bytes(torn)
        assert find_painter("a.png", SIZE).read_bytes() == whole
    assert len(predicted) == 4


def test_the_longest_unused_painters_are_forgotten_but_none_that_was_given_out(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "_MOST_PREDICTED", 3)
    monkeypatch.setattr(find, "_given", set())
    for seed in range(5):
        style_picture(place / f"{seed}.png", seed)
    paths = [find_painter(f"{seed}.png", SIZE) for seed in range(5)]
    assert all(path.is_file() for path in paths), "this process may still load them"
    for age, path in enumerate(paths):
        os.utime(path, (1000 - age, 1000 - age))
    find._given.clear()
    find_painter("4.png", SIZE)  # the oldest, now used
    assert [path.is_file() for path in paths] == [True, True, False, False, True]
    assert len(list(paths[0].parents[1].iterdir())) == 3, "no empty folders"


def test_the_same_picture_under_two_names_is_no_obstacle_to_forgetting(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "_MOST_PREDICTED", 1)
    monkeypatch.setattr(find, "_given", set())
    style_picture(place / "a.png")
    shutil.copy("a.png", "b.png")
    first, second = (find_painter(name, SIZE) for name in ("a.png", "b.png"))
    assert first.parent == second.parent
    os.utime(first, (1, 1))
    find._given.clear()
    assert find_painter("b.png", SIZE).is_file() and kept(place) == {"b.safetensors"}


def test_64_painters_are_kept() -> None:
    assert find._MOST_PREDICTED == 64


def test_where_the_cache_cannot_be_written_a_painter_is_predicted_all_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "file").touch()
    monkeypatch.setenv("IMPASTO_CACHE", str(place / "file"))
    style_picture(place / "a.png")
    path = find_painter("a.png", SIZE)
    assert load_style_model(path).name == "a" and is_predicted(path) and not is_kept(path)


@pytest.mark.skipif(not is_installed("openvino"), reason="openvino is not installed")
@pytest.mark.parametrize("style", ["a.png", "a.png:0.7,wave:0.3"])
def test_from_the_second_time_on_a_picture_needs_no_torch(place: Path, style: str) -> None:
    style_picture(place / "a.png")
    style_picture(place / "photo.png", 3)
    words = [sys.executable, "-c", _PAINTS, style]
    runs = [subprocess.run(words, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert [run.splitlines()[-1] for run in runs] == ["0 True", "0 False"]


@pytest.mark.parametrize(
    "name", ["a,b.png", "a:0.5.png", "12:30, at noon.png", "  .png", "A.PNG", ".png.png", "$x*?.png"]
)
def test_pictures_of_any_name_are_styles(place: Path, name: str) -> None:
    style_picture(place / "plain.png")
    shutil.copy("plain.png", name)
    assert load_style_model(find_painter(name, SIZE)).name
    assert load_style_model(find_painter(f"{name}:0.5,wave:0.5", SIZE)).name.endswith("wave")


def test_a_long_blend_has_a_name_that_a_file_can_have(place: Path) -> None:
    names = [f"{number}{'x' * 60}.png" for number in range(4)]
    for seed, name in enumerate(names):
        style_picture(place / name, seed)
    assert find_painter(",".join(names), SIZE).is_file()


def test_a_picture_without_suffix_in_the_way_of_a_shipped_name_is_named(place: Path) -> None:
    style_picture(place / "a.png").rename("wave")
    path = find_painter("wave")
    assert path == Path("wave"), "a file goes before a shipped style"
    with pytest.raises(ModelError, match=r"^wave: not a whole safetensors file; "):
        load_style_model(path)


def test_the_predictor_is_no_style() -> None:
    assert "any" not in {path.stem for path in shipped_styles()}
    with pytest.raises(ModelError, match=r"^any: neither a style model file nor a shipped style"):
        find_painter("any")
    path = find_painter(asset_dir("checkpoints") / "any.safetensors")
    with pytest.raises(ModelError, match=r"any\.safetensors: the predictor of painters, not a painter; give it a pict"):
        load_style_model(path)


@pytest.mark.parametrize(
    ("style", "kind", "said"),
    [
        ("gone.png", ModelError, "gone.png: no such file"),
        ("gone.png:0.5,wave:0.5", ModelError, "gone.png: no such file"),
        ("a.png,weve", ModelError, "did you mean wave"),
        ("a.png:0.5", UsageError, "must make 1"),
        ("noise.jpg", ImageError, "noise.jpg: "),
        ("a.png,noise.jpg", ImageError, "noise.jpg: "),
        ("tiny.png", ImageError, "too few for a style"),
        ("wave,tiny", ModelError, "lacks the statistics"),
        ("https://example.org/a.jpg", ModelError, "download it first"),
        ("folder.png", ModelError, "folder.png: "),
        ("foreign.safetensors", ModelError, "another impasto"),
        ("foreign.safetensors,wave", ModelError, "another impasto"),
        ("~nobody/a.png", ModelError, "no such file"),
    ],
)
def test_what_is_no_style_is_named_in_one_line(
    place: Path, painter: Path, style: str, kind: type[ImpastoError], said: str
) -> None:
    style_picture(place / "a.png")
    style_picture(place / "tiny.png", 1, 8, 8)
    (place / "noise.jpg").write_bytes(b"\xff\xd8\xffnoise")
    (place / "folder.png").mkdir()
    shutil.copy(painter, "tiny.safetensors")
    save_style_vector(place / "own.safetensors", find_vector("a.png", SIZE))
    rewritten(place / "own.safetensors", place / "foreign.safetensors", predictor="0" * 64)
    for use in (find_painter, find_vector):
        with pytest.raises(kind) as caught:
            use(style, SIZE)
        assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not kept(place)


@pytest.mark.parametrize("style", ["a.png", "a.png,wave", "own.safetensors"])
def test_without_the_predictor_training_is_the_remedy(
    place: Path, style: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    style_picture(place / "a.png")
    save_style_vector(place / "own.safetensors", find_vector("a.png", SIZE))
    request.getfixturevalue("no_predictor")
    said = (
        r"a picture, not a painter; train one first: impasto train a\.png|the predictor is not installed; train a pai"
    )
    with pytest.raises(ModelError, match=said):
        find_painter(style, SIZE)
    assert find_painter("wave").is_file()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="modes mean nothing here")
def test_a_picture_that_may_not_be_read_is_named(place: Path) -> None:
    style_picture(place / "a.png").chmod(0)
    with pytest.raises(ModelError, match=r"a\.png: may not be read"):
        find_painter("a.png", SIZE)
