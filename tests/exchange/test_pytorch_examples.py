"""Models of pytorch/examples: the same picture as there, and nothing but tensors read."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from helpers.foreign import Foreign
from helpers.pictures import photograph
from impasto import cli, load
from impasto.checkpoint import load_style_model
from impasto.compare.judge import judging_loss
from impasto.errors import ModelError
from impasto.exchange.pytorch_examples import import_model


@pytest.fixture(scope="module")
def foreign() -> Foreign:
    torch.manual_seed(0)
    network = Foreign().eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.startswith("in"):
            parameter.add_(0.3 * torch.randn_like(parameter))
    last = network.deconv3.conv2d
    assert last.bias is not None
    last.weight.mul_(120)
    last.bias.fill_(110.0)
    return network


@pytest.mark.parametrize("legacy", [False, True])
def test_an_imported_network_paints_what_the_original_paints(foreign: Foreign, tmp_path: Path, legacy: bool) -> None:
    state = dict(foreign.state_dict())
    if legacy:  # as PyTorch 0.4 wrote them
        state |= {"in1.running_mean": torch.zeros(8), "res1.in1.running_var": torch.ones(32)}
    torch.save(state, tmp_path / "mosaic.pth", _use_new_zipfile_serialization=not legacy)
    assert cli.main(["import", str(tmp_path / "mosaic.pth"), "-o", str(tmp_path / "mosaic.safetensors")]) == 0
    picture = photograph(3, 96)
    expected = (foreign(255 * picture[None])[0] / 255).clamp(0, 1)
    painted = load(tmp_path / "mosaic.safetensors", "cpu", precision="float32")(picture)
    assert expected.std() > 0.05 and 0.01 < ((expected == 0) | (expected == 1)).float().mean() < 0.5
    assert (painted - expected).abs().max() <= 1 / 255
    with pytest.raises(ModelError, match="carries no loss"):
        judging_loss(load_style_model(tmp_path / "mosaic.safetensors"))


class Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_other_files_are_refused_in_a_line_and_run_nothing(foreign: Foreign, tmp_path: Path) -> None:
    state, trap = dict(foreign.state_dict()), tmp_path / "executed"
    first = "conv1.conv2d.weight"
    hostile = {
        "a key too many": {**state, "extra.weight": torch.zeros(3)},
        "a key missing": {key: value for key, value in state.items() if key != "in4.bias"},
        "another shape": {**state, "in4.bias": torch.zeros(5)},
        "huge": {**state, first: torch.zeros(1, 3, 9, 9).expand(10**6, 3, 9, 9)},
        "not finite": {**state, first: torch.full_like(state[first], float("nan"))},
        "whole numbers": {**state, first: state[first].int()},
        "beyond half precision": {**state, first: 1e9 * state[first]},
        "endless": {**state, first: torch.zeros(1, 3, 9, 9).expand(10**14, 3, 9, 9)},
        "sparse": {**state, first: state[first].to_sparse()},
        "nowhere": {**state, first: state[first].to("meta")},
        "a scalar": {**state, first: torch.tensor(1.0)},
        "not a table": [1, 2],
        "odd keys": {1: torch.zeros(1)},
        "code": {"x": Touch(trap)},
    }
    for number, content in enumerate(hostile.values()):
        torch.save(content, tmp_path / f"{number}.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Touch(trap)))
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "0.pth").read_bytes()[:5000])
    torch.save(state, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    for end in range(1, 400, 40):
        (tmp_path / f"legacy{end}.pth").write_bytes((tmp_path / "legacy.pth").read_bytes()[:end])
    (tmp_path / "legacy.pth").unlink()
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(210_000_000))
    for path in [*tmp_path.glob("*.pth"), tmp_path / "absent.pth", tmp_path]:
        with pytest.raises(ModelError, match=path.name):
            import_model(path, "x")
    assert not trap.exists()


def test_import_keeps_to_its_suffix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "x.pth", "-o", str(tmp_path / "x.pth")]) == 2
    assert ".safetensors" in capsys.readouterr().err
    (tmp_path / "there.safetensors").touch()
    assert cli.main(["import", "x.pth", "-o", str(tmp_path / "there.safetensors")]) == 2
    assert "there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "how", ["DataParallel", "compiled", "both", "checkpoint", "lightning", "nested", "safetensors"]
)
def test_models_are_taken_out_of_what_they_were_wrapped_in(foreign: Foreign, tmp_path: Path, how: str) -> None:
    state = dict(foreign.state_dict())

    def prefixed(prefix: str) -> dict[str, Tensor]:
        return {prefix + key: value for key, value in state.items()}

    path = tmp_path / ("m.safetensors" if how == "safetensors" else "m.pth")
    if how == "safetensors":
        save_file(state, path)
    else:
        torch.save({
            "DataParallel": prefixed("module."), "compiled": prefixed("_orig_mod."),
            "both": prefixed("_orig_mod.module."),
            "checkpoint": {"epoch": 2, "state_dict": state, "optimizer": {"lr": 1e-3, "betas": (0.9, 0.999)}},
            "lightning": {"state_dict": prefixed("model."), "global_step": 7},
            "nested": {"model": {"model_state_dict": prefixed("module.")}},
        }[how], path)  # fmt: skip
    model = import_model(path, "x")
    expected = (foreign(255 * photograph(3, 64)[None]) / 255).clamp(0, 1)
    assert (model.network(photograph(3, 64)[None]) - expected).abs().max() <= 1 / 255
