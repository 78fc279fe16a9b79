"""What was there before a run is kept, and what it goes on from has to fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from helpers.trainings import SMALL, checkpoint_of, configured, planned
from impasto.checkpoint import StyleModel, save_style_model
from impasto.errors import UsageError
from impasto.networks import Blur, build_network, network_spec
from impasto.training.build import make_network
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
    network, spec = build_network("swift", **SMALL), network_spec("swift", **SMALL)
    adam = torch.optim.Adam(network.parameters())
    with pytest.raises(UsageError, match=r"other.ckpt: of another network"):
        check_checkpoint(other, network, spec, adam, {})
    with pytest.raises(UsageError, match=r"own.ckpt: holds weights alone"):
        check_checkpoint(checkpoint_of(network, tmp_path / "own.ckpt"), network, spec, adam, {})
    other.write_bytes(other.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"other.ckpt: torn"):
        find_checkpoint(configured(tmp_path, f"ckpt_path={other}"), tmp_path / "run")


def test_a_run_from_before_the_blur_goes_on_without_it(tmp_path: Path) -> None:
    network, spec = build_network("brush", **SMALL), network_spec("brush", **SMALL)
    older, adam = checkpoint_of(network, tmp_path / "older.ckpt"), torch.optim.Adam(network.parameters())
    with pytest.raises(UsageError, match=r"trained with another network; say network\.antialias as there"):
        check_checkpoint(older, network, spec, adam, {"network": '{"antialias": true}'})
    with pytest.raises(UsageError, match="holds weights alone"):
        check_checkpoint(older, network, {**spec, "antialias": False}, adam, {"network": '{"antialias": false}'})


def test_a_painter_from_before_the_blur_is_trained_on_with_it(tmp_path: Path) -> None:
    spec, path = network_spec("brush", **SMALL), tmp_path / "older.safetensors"
    older = build_network("brush", **SMALL, antialias=False)
    save_style_model(path, StyleModel(older, {**spec, "antialias": False}, "older"))
    network = make_network(configured(tmp_path, f"init={path}"), planned(tmp_path, start=path))
    states = [{name: value.half() for name, value in each.state_dict().items()} for each in (older, network)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert any(isinstance(layer, Blur) for layer in network.modules()) and network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
