"""What was there before a run is kept, and what it goes on from has to fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from helpers.trainings import SMALL, checkpoint_of, configured, planned
from impasto.errors import UsageError
from impasto.networks import build_network
from impasto.training.plan import find_checkpoint
from impasto.training.run_folder import begin, check_checkpoint, refuse_needed


def test_a_run_that_goes_on_keeps_a_painter_that_is_not_its_own(tmp_path: Path) -> None:
    last = tmp_path / "run" / "last.ckpt"
    begin(planned(tmp_path))
    own, precious = tmp_path / "style.safetensors", tmp_path / "precious.safetensors"
    own.write_bytes(b"own")
    precious.write_bytes(b"precious")
    begin(planned(tmp_path, checkpoint=last))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious.safetensors", "run", "style.safetensors"]
    begin(planned(tmp_path, f"output={precious}", checkpoint=last))
    assert (tmp_path / "precious-1.safetensors").read_bytes() == b"precious"


def test_painters_in_a_run_that_is_set_aside_are_kept(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "style.safetensors"
    checkpoint_of(torch.nn.Linear(1, 1), run / "last.ckpt")
    (run / "style.safetensors").write_bytes(b"inside")
    outside.write_bytes(b"outside")
    begin(planned(tmp_path))
    kept = tmp_path / "run-1"
    assert (kept / "style.safetensors").read_bytes() == b"inside"
    assert (kept / "style-1.safetensors").read_bytes() == b"outside"
    checkpoint_of(torch.nn.Linear(1, 1), run / "last.ckpt")
    shutil.copy(outside, run / "style.safetensors")
    begin(planned(tmp_path, f"output={run / 'style.safetensors'}"))
    assert (tmp_path / "run-2" / "style.safetensors").read_bytes() == b"outside"


def test_a_painter_is_said_to_be_kept_where_one_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned(tmp_path)
    for painter in (None, plan.output):
        checkpoint_of(build_network("swift", **SMALL), plan.folder / "last.ckpt")
        if painter:
            painter.write_bytes(b"a painter")
        begin(plan)
        said = "earlier run and its painter are" if painter else "earlier run is"
        assert f"the {said} kept in" in capsys.readouterr().err


def test_a_run_does_not_set_aside_what_it_needs(tmp_path: Path) -> None:
    last = checkpoint_of(torch.nn.Linear(1, 1), tmp_path / "run" / "last.ckpt")
    start = tmp_path / "run" / "style.safetensors"
    nested = checkpoint_of(torch.nn.Linear(1, 1), tmp_path / "run" / "old" / "last.ckpt")
    for begun, resumed in ((start, None), (None, nested)):
        with pytest.raises(UsageError, match="copy it out"):
            refuse_needed(planned(tmp_path, start=begun, checkpoint=resumed), Path("x.png"))
    assert last.is_file() and nested.is_file()
    elsewhere = tmp_path / "disk" / "last.ckpt"
    last.rename(checkpoint_of(torch.nn.Linear(1, 1), elsewhere))
    last.symlink_to(elsewhere)
    refuse_needed(planned(tmp_path, start=start, checkpoint=last), Path("x.png"))
    begin(planned(tmp_path, checkpoint=last))
    assert last.is_file() and not (tmp_path / "run-1").exists(), "it goes on in its own folder"


def test_a_checkpoint_must_be_whole_and_of_the_network(tmp_path: Path) -> None:
    other = checkpoint_of(build_network("swift", width=8, blocks=1), tmp_path / "other.ckpt")
    network = build_network("swift", **SMALL)
    adam = torch.optim.Adam(network.parameters())
    with pytest.raises(UsageError, match=r"other.ckpt: of another network"):
        check_checkpoint(other, network, SMALL, adam, {})
    with pytest.raises(UsageError, match=r"own.ckpt: holds weights alone"):
        check_checkpoint(checkpoint_of(network, tmp_path / "own.ckpt"), network, SMALL, adam, {})
    other.write_bytes(other.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"other.ckpt: torn"):
        find_checkpoint(configured(tmp_path, f"ckpt_path={other}"), tmp_path / "run")
