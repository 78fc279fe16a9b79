"""Two ranks of two have the gradient of one rank of four."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from helpers.pictures import photograph
from helpers.places import ROOT
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network


def _gradient_of_rank(rank: int, port: int, vgg: str, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2")
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    torch.manual_seed(0)
    network = DistributedDataParallel(_network())
    _backward(network, vgg, slice(2 * rank, 2 * rank + 2))
    torch.save([parameter.grad for parameter in network.parameters()], f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def _network() -> torch.nn.Module:
    return build_network("johnson", width=4, blocks=1).to(memory_format=torch.channels_last)


def _backward(network: torch.nn.Module, vgg: str, part: slice) -> None:
    loss = PerceptualLoss.from_spec(vgg)
    loss.set_style(photograph(99, 64)[None])
    batch = torch.stack([photograph(seed, 32) for seed in range(4)])[part]
    batch = batch.contiguous(memory_format=torch.channels_last)
    loss(network(batch), batch).total.backward()


def _gradient_of_all(vgg: str, folder: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = _network()
    _backward(network, vgg, slice(0, 4))
    torch.save([parameter.grad for parameter in network.parameters()], f"{folder}/all.pt")


def save_gradients(port: int, vgg: str, folder: str) -> None:
    spawn(_gradient_of_rank, (port, vgg, folder), nprocs=2)
    _gradient_of_all(vgg, folder)


@pytest.mark.slow
def test_two_ranks_of_two_have_the_gradient_of_one_rank_of_four(random_vgg: Path, tmp_path: Path) -> None:
    port = 29_500 + os.getpid() % 500
    code = f"import test_ranks as t; t.save_gradients({port}, {str(random_vgg)!r}, {str(tmp_path)!r})"
    folders = os.pathsep.join(map(str, (Path(__file__).parent, ROOT / "tests")))
    environment = {**os.environ, "PYTHONPATH": folders}  # another test may have set PYTHONSAFEPATH
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=280)
    expected = torch.load(tmp_path / "all.pt")
    scale = max(gradient.abs().max().item() for gradient in expected)
    for rank in range(2):
        for gradient, whole in zip(torch.load(tmp_path / f"{rank}.pt"), expected, strict=True):
            torch.testing.assert_close(gradient, whole, rtol=1e-5, atol=1e-5 * scale)
