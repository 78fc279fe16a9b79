"""Train styles of configs/experiment, all of them at once: what a GPU has time for in minutes.

    python scripts/research/train_styles.py [NAME...] --pictures DIR --photographs DIR [--vgg WEIGHTS] [--minutes 4]
        -o DIR

PICTURES holds a picture called like each experiment; those that `impasto sample-style` knows are made where they are
missing. Each painter begins at the base weights of its network and takes --steps or, with --minutes, as many as fit.
Leaves a style model for each, which `scripts/release/ship_style.py` puts among the shipped ones when it is measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from many_painters import Painter, crop_pool, train_all

from impasto.checkpoint import StyleModel, load_style_model, save_style_model
from impasto.images.finding import find_images
from impasto.images.geometry import resize
from impasto.images.reading import read_image
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, network_spec, weights_fit
from impasto.records import TrainingRecord
from impasto.system.files import asset_dir
from impasto.system.machine import pick_device, provenance
from impasto.training.build import loss_spec
from impasto.training.plan import find_start
from impasto.training.record import Style, loss_record, slim_targets_of

EACH = 8  # crops of every photograph


def known_experiments() -> list[str]:
    """The experiments of today's loss; the painter on Johnson's network is kept as it is, to measure speed by."""
    names = sorted(path.stem for path in (asset_dir("configs") / "experiment").glob("[!_]*.yaml"))
    return [name for name in names if not name.endswith("_johnson")]


def read_experiment(name: str) -> Any:
    """The configuration that `impasto train experiment=NAME` has."""
    with initialize_config_dir(str(asset_dir("configs")), version_base="1.3"):
        return compose("train", [f"experiment={name}"])


def picture_of(name: str, folder: Path) -> Path:
    """The experiment's style picture, made if it is not there; NAME_johnson has that of NAME."""
    name = name.removesuffix("_johnson")
    if not any(path.stem == name for path in find_images([folder])):
        subprocess.run([sys.executable, "-m", "impasto", "sample-style", name, "-o", folder], check=True)
    return next(path for path in find_images([folder]) if path.stem == name)


def read_style(image: Path, config: Any) -> Style:
    return Style.of(image, resize(read_image(image), config.style.size), config.style)


def make_painter(config: Any, style: Style, features: PerceptualLoss, pool: torch.Tensor, options: Any) -> Painter:
    spec = network_spec(**config.network)
    torch.manual_seed(0)
    network = build_network(**spec)
    start = options.start or find_start(config)
    if start and weights_fit(spec, (model := load_style_model(start)).spec):
        network.load_state_dict(model.network.state_dict())
    network = network.requires_grad_(True).to(pool.device).to(memory_format=torch.channels_last).train()
    loss = PerceptualLoss(features.features, **loss_options(config))
    loss.set_style(style.picture[None].to(pool.device))
    return Painter(
        network, loss, pool, options.steps, batch=options.batch, margin=config.margin, rate=config.optimizer.lr
    )  # fmt: skip


def loss_options(config: Any) -> dict[str, Any]:
    """Return what `impasto train` would build the loss with, but for its name and its loss network."""
    return {key: value for key, value in loss_spec(config).items() if key not in ("name", "weights")}


def save(path: Path, painter: Painter, config: Any, style: Style, training: TrainingRecord) -> None:
    """Write the style model, with the targets of the slim loss network, which is at hand wherever impasto is."""
    loss = loss_record(painter.loss)
    loss.weights = Path(painter.loss.features.weights).name
    model = StyleModel(
        network=painter.averaged(),
        spec=network_spec(**config.network),
        name=style.name,
        loss=loss,
        style=style.record(),
        training=training,
        style_targets=slim_targets_of(painter.loss, style.picture),
    )
    save_style_model(path, model)


def train(painters: Sequence[Painter], seconds: float | None) -> int:
    """Train for the painters' steps or for so many seconds, the learning rate falling to zero at the end;
    return the steps.
    """
    ends = time.monotonic() + (seconds or 0)
    next(train_all(painters, 1))  # on a GPU, records the graphs
    pace = {threads: seconds_a_round(painters, threads) for threads in ((1, 8) if painters[0].stream else (1,))}
    threads = min(pace, key=lambda count: pace[count])
    print(
        f"a round takes {' or '.join(f'{each:.3f} s with {count} threads' for count, each in pace.items())}", flush=True
    )
    gone = round(float(painters[0].done))
    if seconds is not None:
        for painter in painters:
            painter.plan(gone + max(1, int((ends - time.monotonic()) / pace[threads])))
    started, rounds = time.monotonic(), max(painter.steps for painter in painters) - gone
    for number in train_all(painters, rounds, every=200, threads=threads):
        totals = " ".join(f"{float(painter.totals.sum()):.3f}" for painter in painters)
        print(f"{number} of {rounds}, {time.monotonic() - started:.0f} s: {totals}", flush=True)
    return gone + rounds


def seconds_a_round(painters: Sequence[Painter], threads: int, rounds: int = 20) -> float:
    started = time.monotonic()
    next(train_all(painters, rounds, every=rounds, threads=threads))
    return (time.monotonic() - started) / rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = known_experiments()
    parser.add_argument("names", nargs="*", default=known, metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--vgg", default="torchvision", help="weights of the loss network: torchvision, slim or a path")
    parser.add_argument("--start", type=Path, help="a style model to begin with (default: the base weights)")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int, default=4000, help="for each, without --minutes")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    train_styles(options, pick_device())


def train_styles(options: Any, device: torch.device) -> list[Path]:
    """Train and save all; return the style models' paths."""
    started = time.monotonic()
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = True
    configs = [read_experiment(name) for name in options.names]
    styles = [
        read_style(picture_of(name, options.pictures), config)
        for name, config in zip(options.names, configs, strict=True)
    ]
    data = configs[0].data
    photographs, margin = find_images([options.photographs]), configs[0].margin
    pool = crop_pool(photographs, data.crop, EACH, data.procedural, margin=margin, device=str(device))
    features = PerceptualLoss.from_spec(options.vgg).to(device)
    painters = [
        make_painter(config, style, features, pool, options) for config, style in zip(configs, styles, strict=True)
    ]
    left = None if options.minutes is None else 60 * options.minutes - (time.monotonic() - started)
    steps = train(painters, left)
    record = replace(
        TrainingRecord(steps=steps, seconds=round(time.monotonic() - started, 1), painters=len(painters)),
        **provenance(device),
    )
    paths = [options.output / f"{name}.safetensors" for name in options.names]
    for path, painter, config, style in zip(paths, painters, configs, styles, strict=True):
        own = replace(
            record,
            crop=config.data.crop,
            batch=painter.batch,
            margin=painter.margin,
            images=steps * painter.batch,
        )
        save(path, painter, config, style, own)
    print(*paths, sep="\n")
    return paths


if __name__ == "__main__":
    main()
