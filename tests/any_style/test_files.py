"""The files of the predictor and of style vectors are read with mistrust."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from helpers.predictors import CHANNELS, SPEC, flipped, random_statistics, rewritten, small_predictor
from impasto.any_style import files
from impasto.any_style.files import (
    Predictor,
    StyleVector,
    is_style_vector,
    load_predictor,
    read_style_vector,
    save_predictor,
    save_style_vector,
)
from impasto.errors import ModelError
from impasto.records import LossRecord, StyleRecord

_LOADS = """
import resource, sys
from pathlib import Path
from impasto.any_style.files import load_predictor
from impasto.errors import ModelError
from impasto.networks import build_network
build_network("brush")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load_predictor(Path(sys.argv[1]))
except ModelError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10, error)
"""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_predictor(path, small_predictor(), LossRecord(name="perceptual"), {"updates": 3}, closer=0.07)
    return path


@pytest.fixture
def here(saved: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Predictor]:
    """The small predictor in the place of the installed one."""
    monkeypatch.setattr(files, "predictor_path", lambda: saved)
    load_predictor.cache_clear()
    yield load_predictor()
    load_predictor.cache_clear()


@pytest.fixture
def vector(here: Predictor, tmp_path: Path) -> Path:
    path = tmp_path / "a.vector.safetensors"
    save_style_vector(path, StyleVector("a", torch.arange(6.0), here.digest, StyleRecord(title="A", size=512)))
    return path


def test_a_predictor_comes_back_but_for_half_precision(saved: Path) -> None:
    predictor, network = load_predictor(saved), small_predictor()
    assert (predictor.loss, predictor.closer) == (LossRecord(name="perceptual"), 0.07)
    assert not predictor.network.training and saved.stat().st_size < 1_000_000
    statistics = random_statistics(2, seed=3)
    torch.testing.assert_close(predictor.network.vector(statistics), network.vector(statistics), rtol=0.02, atol=0.02)
    for key, value in network.state_dict().items():
        found = predictor.network.state_dict()[key]
        assert found.dtype == torch.float32 and torch.equal(found, value.half().float())


def test_how_much_closer_training_comes_is_said_where_it_was_measured(
    here: Predictor, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert files.how_much_closer() == "comes closer: style reached +7 points on average"
    unknown = rewritten(saved, tmp_path / "unknown.safetensors", closer=None)
    monkeypatch.setattr(files, "predictor_path", lambda: unknown)
    assert files.how_much_closer() == "comes closer"


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"kind": "vector"}, "not a style predictor"),
        ({"kind": None}, "not a style predictor"),
        ({"format": "1"}, "not a style predictor"),
        ({"format": 99}, "made by a newer impasto"),
        ({"network": None}, "no valid 'network'"),
        ({"size": "6"}, "no valid 'size'"),
        ({"size": 0}, "none of impasto's"),
        ({"size": 10**9}, "none of impasto's"),
        ({"size": 7}, "does not fit"),
        ({"channels": {}}, "none of impasto's"),
        ({"channels": {"a": -1}}, "none of impasto's"),
        ({"channels": {"a": "12"}}, "none of impasto's"),
        ({"channels": {"a": True}}, "none of impasto's"),
        ({"channels": {"a": 10**12}}, "none of impasto's"),
        ({"channels": {str(n): 8 for n in range(65)}}, "none of impasto's"),
        ({"channels": {"relu1_2": 12}}, "does not fit"),
        ({"network": {}}, "name"),
        ({"network": {"name": "nonsense"}}, "unknown network"),
        ({"network": SPEC | {"width": 10**6}}, "width"),
        ({"network": SPEC | {"width": 16}}, "does not fit"),
        ({"network": {"name": "brush", "depth": 3}}, "no option 'depth'"),
        ({"digest": "0" * 64}, "tensors are damaged"),
        ({"digest": None}, "no valid 'digest'"),
        ({"loss": []}, "no valid 'loss'"),
    ],
)
def test_a_predictor_that_was_altered_is_refused_in_one_line(
    saved: Path, tmp_path: Path, claims: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError, match=r"^.*/altered\.safetensors: ") as caught:
        load_predictor(rewritten(saved, tmp_path / "altered.safetensors", **claims))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_whole_predictor_is_refused(saved: Path, painter: Path, vector: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(saved.read_bytes()[:-100])
    for path, said in (
        (flipped(saved, tmp_path / "flipped.safetensors"), "tensors are damaged"),
        (torn, "not a whole safetensors file"),
        (painter, "not a style predictor"), (vector, "not a style predictor"),
        (tmp_path / "gone.safetensors", "no such model"), (tmp_path, "no such model"),
    ):  # fmt: skip
        with pytest.raises(ModelError, match=said):
            load_predictor(path)


def test_without_the_predictor_training_is_the_remedy(no_predictor: None) -> None:
    load_predictor.cache_clear()
    with pytest.raises(ModelError, match="the predictor is not installed; train a painter instead: impasto train"):
        load_predictor()


def test_a_file_that_claims_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    claims = {
        "format": 1, "kind": "predictor", "network": {"name": "johnson", "width": 128, "blocks": 32}, "size": 1024,
        "channels": {str(number): 512 for number in range(64)}, "loss": {}, "training": {}, "digest": "",
    }  # fmt: skip
    save_file({"head.weight": torch.zeros(1)}, tmp_path / "huge.safetensors", metadata={"impasto": json.dumps(claims)})
    words = [sys.executable, "-c", _LOADS, str(tmp_path / "huge.safetensors")]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    megabytes, _, line = said.partition(" ")
    assert int(megabytes) < 100 and "the file was altered" in line


def test_a_vector_comes_back(vector: Path, here: Predictor) -> None:
    found = read_style_vector(vector)
    assert (found.name, found.predictor, found.style) == ("a", here.digest, StyleRecord(title="A", size=512))
    assert torch.equal(found.values, torch.arange(6.0)) and not found.targets
    assert vector.stat().st_size < 2000


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"predictor": "0" * 64}, "made with the predictor of another impasto; embed the picture again: impasto embed"),
        ({"kind": "predictor"}, "not a style vector"),
        ({"kind": None}, "not a style vector"),
        ({"format": 2}, "made by a newer impasto"),
        ({"name": "../a"}, "cannot be a style's name"),
        ({"name": ""}, "cannot be a style's name"),
        ({"name": 5}, "no valid 'name'"),
        ({"style": "A"}, "no valid 'style'"),
        ({"digest": "0"}, "tensors are damaged"),
        ({"digest": None}, "no valid 'digest'"),
    ],
)
def test_a_vector_that_was_altered_is_refused_in_one_line(
    vector: Path, tmp_path: Path, claims: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError, match=r"^.*/altered\.safetensors: ") as caught:
        read_style_vector(rewritten(vector, tmp_path / "altered.safetensors", **claims))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (torch.zeros(7), "does not fit"),
        (torch.zeros(1, 6), "does not fit"),
        (torch.zeros(6, dtype=torch.int64), "does not fit"),
        (torch.full((6,), float("nan")), "not numbers"),
        (None, "vector is missing"),
    ],
)
def test_a_vector_of_other_values_is_refused(
    vector: Path, tmp_path: Path, values: torch.Tensor | None, said: str
) -> None:
    from impasto.tensor_file import read_description

    tensors = {"other": torch.zeros(6)} if values is None else {"vector": values}
    path = tmp_path / "odd.safetensors"
    save_file(tensors, path, metadata={"impasto": json.dumps(read_description(vector))})
    with pytest.raises(ModelError, match=said):
        read_style_vector(path)


def test_a_damaged_vector_is_refused(vector: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="tensors are damaged"):
        read_style_vector(flipped(vector, tmp_path / "flipped.safetensors"))


def test_a_vector_is_told_from_all_other_files(vector: Path, saved: Path, painter: Path, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"no tensors")
    (tmp_path / "empty").touch()
    others = (saved, painter, tmp_path / "noise", tmp_path / "empty", tmp_path)
    assert is_style_vector(vector) and not any(map(is_style_vector, others))


def test_the_installed_predictor_knows_its_loss() -> None:
    predictor = load_predictor()
    assert predictor.loss.weights == "slim" and predictor.loss.fingerprint
    assert predictor.network.size > 0 and predictor.network.channels.keys() != CHANNELS.keys()
