"""Every command with its standard streams closed, full, broken off, or wanted by others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers.commands import training_command
from helpers.foreign import Foreign
from impasto import cli
from impasto.synthetic.contents import procedural_image

IMPASTO = [sys.executable, "-m", "impasto"]


@pytest.fixture
def commands(painter: Path, photographs: Path, random_vgg: Path, tmp_path: Path) -> dict[str, tuple[list[str], Path]]:
    """The words of a small job of each command, and what it makes in the folder where it runs."""
    photo = tmp_path / "a.png"
    Image.fromarray(procedural_image(1, 40)).save(photo)
    Image.fromarray(procedural_image(2, 40)).save(tmp_path / "b.png")
    coco = {"images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 40}], "annotations": [], "categories": []}
    (tmp_path / "c.json").write_text(json.dumps(coco))
    torch.save(Foreign().state_dict(), tmp_path / "m.pth")
    small = ["--steps", "2", "--size", "32", "--device", "cpu"]
    style = ["-s", str(painter)]
    words: dict[str, tuple[list[str], str]] = {
        "stylize": (["a.png", "b.png", *style], "b.tiny.png"),
        "optimize": (["a.png", "-s", "b.png", "-o", "o.png", "--loss-weights", str(random_vgg), *small], "o.png"),
        "compare": (["a.png", *style, "-o", "report", *small, "--no-polish"], "report/report.json"),
        "augment": (["--annotations", "c.json", "--images", ".", *style, "-o", "out", "--workers", "1"],
                    "out/annotations.json"),
        "import": (["m.pth", "-o", "m.safetensors"], "m.safetensors"),
        "styles": ([], "a.png"),
        "benchmark": (["--sizes", "32x32", "--backends", "torch", "--runs", "1"], "a.png"),
        "train": ([*training_command(tmp_path, photographs, random_vgg)[3:], "trainer.max_steps=2"],
                  "style.safetensors"),
    }  # fmt: skip
    return {name: ([*IMPASTO, name, *rest], tmp_path / made) for name, (rest, made) in words.items()}


COMMANDS = ["stylize", "optimize", "compare", "augment", "import", "styles", "benchmark", "train"]


def in_shell(command: Sequence[str], redirection: str, folder: Path) -> subprocess.CompletedProcess[str]:
    line = f'"$@" {redirection}'
    return subprocess.run(["bash", "-c", line, "-", *command], cwd=folder, capture_output=True, text=True, timeout=200)


QUICK = ("stylize", "import", "styles")  # the others take seconds each
STATES = [(name, state) for name in QUICK for state in (">&-", "2>&-", "<&- >&- 2>&-")] + [
    (name, ">&- 2>&-") for name in COMMANDS
]


@pytest.mark.parametrize(("name", "redirection"), STATES)
def test_what_is_closed_is_done_without(
    commands: dict[str, tuple[list[str], Path]], tmp_path: Path, name: str, redirection: str
) -> None:
    command, made = commands[name]
    run = in_shell(command, redirection, tmp_path)
    assert run.returncode == 0 and made.exists(), run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_lost_in_a_pipe_that_is_full_for_a_while(
    commands: dict[str, tuple[list[str], Path]], tmp_path: Path, name: str
) -> None:
    command, made = commands[name]
    reader, writer = os.pipe()
    os.set_blocking(writer, False)  # so it stays for the command, too, as some service managers leave it
    filled = 0
    while True:
        try:
            filled += os.write(writer, b"." * 4096)
        except BlockingIOError:
            break
    run = subprocess.Popen(command, cwd=tmp_path, stdout=writer, stderr=writer)
    os.close(writer)
    arrived: list[bytes] = []

    def read() -> None:
        time.sleep(1)
        while data := os.read(reader, 65536):
            arrived.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    assert run.wait(200) == 0 and made.exists()
    thread.join()
    os.close(reader)
    told = b"".join(arrived)[filled:].decode()
    assert "Traceback" not in told
    assert {"styles": "starry_night", "benchmark": "frames/s"}.get(name, made.name) in told


def test_a_reader_of_remarks_who_leaves_is_no_loss(commands: dict[str, tuple[list[str], Path]], tmp_path: Path) -> None:
    command, made = commands["stylize"]
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=writer, text=True, timeout=200)
    os.close(writer)
    assert run.returncode == 0 and run.stdout.splitlines() == ["a.tiny.png", "b.tiny.png"] and made.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_for_the_result_is_named(commands: dict[str, tuple[list[str], Path]], tmp_path: Path) -> None:
    command, made = commands["stylize"]
    for words in (command, [*command, "--json"]):
        run = in_shell(words, ">/dev/full", tmp_path)
        assert run.returncode == 1 and made.exists()
        assert "impasto: stdout: no space left on device; what was made is whole" in run.stderr.splitlines()
    assert in_shell(command, "2>/dev/full", tmp_path).returncode == 0


def test_stdout_holds_the_result_alone_whoever_prints(
    commands: dict[str, tuple[list[str], Path]], tmp_path: Path
) -> None:
    chatty = "import os, sys; os.write(1, b'from C\\n'); print('from Python'); import impasto.inference as i"
    (tmp_path / "chatty.py").write_text(
        "import sys\nfrom impasto import cli\nfrom impasto.inference import stylizer\n"
        "make = stylizer.Stylizer.__init__\n"
        f"def talk(*a, **k):\n    exec({chatty!r})\n    make(*a, **k)\n"
        "stylizer.Stylizer.__init__ = talk\nsys.exit(cli.main(sys.argv[1:]))\n"
    )
    words = [sys.executable, "chatty.py", *commands["stylize"][0][3:], "--json"]
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert len(json.loads(run.stdout)["done"]) == 2 and "from C" in run.stderr and "from Python" in run.stderr
    closed = in_shell(words, "2>&-", tmp_path)
    assert len(json.loads(closed.stdout)["done"]) == 2


FORMS = {
    "stylize": (["nowhere.jpg", "-s", "wave"], {"style", "done", "left", "failed"}),
    "optimize": (["nowhere.jpg", "-s", "b.png", "-o", "o.png"], {"output", "best_step", "curve", "failed"}),
    "compare": (["nowhere.jpg", "-s", "wave", "-o", "report"], {"images", "failed"}),
    "augment": (["--annotations", "nowhere.json", "--images", ".", "-s", "wave", "-o", "out"],
                {"annotations", "images", "marks", "failed"}),
    "import": (["nowhere.pth", "-o", "m.safetensors"], {"output", "failed"}),
    "benchmark": (["--device", "nothing"], {"rows", "failed"}),
    "sample-style": (["nonsense", "-o", "out"], {"names", "outputs", "failed"}),
    "shards": (["nowhere", "-o", "out"], {"index", "shards", "images", "missing", "failed"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_json_has_one_form_in_every_outcome(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words, keys = FORMS[name]
    code = cli.main([name, *words, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code in (1, 2) and set(told) == keys and len(told["failed"]) == 1
    with pytest.raises(SystemExit) as ended:
        cli.main([name, *words, "--json", "--no-such-option"])
    told, complaint = capsys.readouterr()
    assert ended.value.code == 2 and set(json.loads(told)) == keys
    assert len(complaint.splitlines()) == 1 and "--no-such-option" in complaint
    assert not list(tmp_path.iterdir())


def test_json_of_a_failure_and_of_a_success_have_the_same_keys(
    commands: dict[str, tuple[list[str], Path]], tmp_path: Path
) -> None:
    for name in ("stylize", "import"):
        run = in_shell([*commands[name][0], "--json"], "", tmp_path)
        assert set(json.loads(run.stdout)) == FORMS[name][1] and json.loads(run.stdout)["failed"] == []


def test_training_prints_its_result_alone(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os, sys\n"
        "def watch(event, arguments):\n"
        "    if event == 'open' and 'metrics.csv' in str(arguments[0]):\n"
        "        print('from Python'); os.write(1, b'from C\\n')\n"
        "sys.addaudithook(watch)\n"
    )
    command = [*training_command(tmp_path, photographs, random_vgg), "trainer.max_steps=2"]
    world = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = subprocess.run(["bash", "-c", '"$@"', "-", *command], env=world, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0 and run.stdout == f"{tmp_path / 'style.safetensors'}\n"
    assert "from C" in run.stderr and "from Python" in run.stderr
