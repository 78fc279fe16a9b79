"""Checkpoints are whole or known not to be, and the earlier ones are kept."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest
import torch

from helpers.trainings import SMALL, checkpoint_of
from impasto.errors import ImpastoError
from impasto.networks import build_network
from impasto.training.checkpoint_io import DurableCheckpointIO, checkpoints_at, is_whole


def save_steps(path: Path, count: int, keep: int = 3) -> DurableCheckpointIO:
    writer = DurableCheckpointIO(keep)
    for step in range(count):
        writer.save_checkpoint({"step": step, "state_dict": {"weights": torch.full((1000,), float(step))}}, path)
    return writer


def test_the_last_checkpoints_are_kept_the_newest_first(tmp_path: Path) -> None:
    save_steps(tmp_path / "run" / "last.ckpt", 5)
    kept = list(checkpoints_at(tmp_path / "run" / "last.ckpt"))
    assert [path.name for path in kept] == ["last.ckpt", "last-1.ckpt", "last-2.ckpt"]
    assert [torch.load(path, weights_only=True)["step"] for path in kept] == [4, 3, 2]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(path.name for path in kept)


def test_only_the_newest_where_one_is_kept(tmp_path: Path) -> None:
    save_steps(tmp_path / "last.ckpt", 3, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    with pytest.raises(ImpastoError, match="at least one"):
        DurableCheckpointIO(0)


@pytest.mark.parametrize("damage", ["empty", "short", "flipped", "text", "not_a_checkpoint"])
def test_damage_is_seen(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save_steps(path, 1)
    assert is_whole(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = {"empty": b"", "short": data[:-7], "flipped": data, "text": b"hello\n"}
    if damage == "not_a_checkpoint":
        torch.save(torch.nn.Linear(1, 1), path)  # a pickled module: loading it would run code
    else:
        path.write_bytes(bytes(damaged[damage]))
    assert not is_whole(path)
    assert not is_whole(tmp_path / "absent.ckpt")


@pytest.mark.parametrize("pickled", [b"\x80\x02u.", b"\x80\x02K\x01Q.", b"\x80\x02N.", b"\x80\x02]."])
def test_a_damaged_pickle_is_not_whole(pickled: bytes, tmp_path: Path) -> None:
    import zipfile

    path = checkpoint_of(build_network("swift", **SMALL), tmp_path / "whole.ckpt")
    assert is_whole(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, pickled if name.endswith("data.pkl") else content)
    assert not is_whole(path)


def test_a_full_disk_is_a_loud_error_and_the_earlier_checkpoint_stays(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    writer = save_steps(path, 2)
    before = {kept: kept.read_bytes() for kept in checkpoints_at(path)}
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # a write beyond it fails, as on a full disk
    try:
        with pytest.raises(ImpastoError, match=r"last\.ckpt: the checkpoint cannot be written .*make room"):
            writer.save_checkpoint({"weights": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert {kept: kept.read_bytes() for kept in tmp_path.iterdir()} == before
