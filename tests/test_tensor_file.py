"""Files of tensors: opened with mistrust, and called what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from impasto.errors import ModelError
from impasto.tensor_file import read_description


def test_a_file_that_may_be_any_model_is_not_called_a_style_model(tmp_path: Path) -> None:
    foreign, gone = tmp_path / "foreign.safetensors", tmp_path / "gone.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    for path, said in ((foreign, "not a model of impasto"), (gone, "no such model")):
        with pytest.raises(ModelError, match=said):
            read_description(path)
