"""Disks that know no modes, no fsync of folders and no rename of a folder, as shares and some FUSE mounts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers.clips import make_clip
from helpers.commands import training_command
from impasto.synthetic.contents import procedural_image

REFUSING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
int chmod(const char *path, mode_t mode) { errno = EPERM; return -1; }
int fchmod(int file, mode_t mode) { errno = EPERM; return -1; }
int fchmodat(int folder, const char *path, mode_t mode, int flags) { errno = EPERM; return -1; }
int utimensat(int folder, const char *path, const struct timespec times[2], int flags) { errno = EPERM; return -1; }
int futimens(int file, const struct timespec times[2]) { errno = EPERM; return -1; }
int fsync(int file) {
    struct stat status;
    if (fstat(file, &status) == 0 && S_ISDIR(status.st_mode)) { errno = EINVAL; return -1; }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(file);
}
"""


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that makes every disk refuse what some do."""
    folder = tmp_path_factory.mktemp("refusing")
    (folder / "refusing.c").write_text(REFUSING)
    if not sys.platform.startswith("linux") or not shutil.which("cc"):
        pytest.skip("needs Linux and a C compiler")
    library = folder / "refusing.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, folder / "refusing.c", "-ldl"], check=True)
    return library


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stylize", "clip", "optimize", "compare", "augment", "train"])
def test_every_command_writes_there(
    painter: Path, photographs: Path, random_vgg: Path, refusing: Path, tmp_path: Path, name: str
) -> None:
    Image.fromarray(procedural_image(1, 40)).save(tmp_path / "a.png")
    coco = {"images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 40}]}
    (tmp_path / "c.json").write_text(json.dumps(coco))
    make_clip(tmp_path / "c.mp4")
    small, style = ["--steps", "2", "--size", "32", "--device", "cpu"], ["-s", str(painter)]
    words, made = {
        "stylize": (["stylize", "a.png", *style], "a.tiny.png"),
        "clip": (["stylize", "c.mp4", *style], "c.tiny.mp4"),
        "optimize": (["optimize", "a.png", "-s", "a.png", "-o", "o.png", "--loss-weights", str(random_vgg), *small],
                     "o.png"),
        "compare": (["compare", "a.png", *style, "-o", "report", *small, "--no-polish"], "report/report.json"),
        "augment": (["augment", "--annotations", "c.json", "--images", ".", *style, "-o", "out", "--keep-originals",
                     "--workers", "1"], "out/annotations.json"),
        "train": (["train", *training_command(tmp_path, photographs, random_vgg)[3:], "trainer.max_steps=2"],
                  "style.safetensors"),
    }[name]  # fmt: skip
    world = {**os.environ, "LD_PRELOAD": str(refusing), "IMPASTO_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "impasto", *words]
    for _ in range(2 if name == "train" else 1):  # the second sets the first aside
        run = subprocess.run(command, cwd=tmp_path, env=world, capture_output=True, text=True, timeout=200)
        assert run.returncode == 0 and (tmp_path / made).is_file(), run.stderr
