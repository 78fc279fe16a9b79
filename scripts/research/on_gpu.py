"""What impasto does on this GPU: speed against the chip's own, training, many devices; then painters with the time
left.

    scripts/on_gpu.sh [--quick] [--vgg WEIGHTS] [--photographs DIR] [--styles DIR] [--minutes 7] [-o DIR]

Each part stands alone: one that fails says so in the table, and the others go on. Prints one table and writes
`on_gpu.json` and the table as `on_gpu.md` into the output folder; a style model for each picture in STYLES is trained
there until the minutes are over. With --quick, and on a CPU, everything is small: to try the script itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from many_painters import Painter, crop_pool
from train_styles import known_experiments, train_styles

from impasto.checkpoint import read_metadata
from impasto.images.finding import find_images
from impasto.images.geometry import resize
from impasto.images.reading import read_image
from impasto.images.tensors import as_tensor, from_levels
from impasto.images.writing import write_image
from impasto.inference.benchmark import convolution_peak, macs_per_pixel, picture
from impasto.inference.engine import build_engine
from impasto.networks import build_network
from impasto.synthetic.contents import procedural_image
from impasto.system.files import written_whole
from impasto.system.machine import pick_device, provenance

NETWORKS = ("brush", "johnson")


@dataclass
class Row:
    """One line of the table: what was measured, the figure and its unit."""

    what: str
    value: float | str
    unit: str = ""

    def __str__(self) -> str:
        shown = f"{self.value:,.3g}" if isinstance(self.value, float) and self.value < 1000 else self.value
        shown = f"{self.value:,.0f}" if isinstance(self.value, float) and self.value >= 1000 else shown
        return f"| {self.what} | {shown} {self.unit} |"


def seconds_of(run: Callable[[], Any], budget: float, device: torch.device) -> float:
    """Median seconds of `run`, repeated for `budget` seconds after three warm-ups."""
    for _ in range(3):
        run()
    wait(device)
    taken, ends = [], time.perf_counter() + budget
    while not taken or time.perf_counter() < ends:
        started = time.perf_counter()
        run()
        wait(device)
        taken.append(time.perf_counter() - started)
    return sorted(taken)[len(taken) // 2]


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peaks(options: argparse.Namespace) -> Iterator[Row]:
    """What the chip does at most: a large matrix product and a 3x3 convolution, in bfloat16."""
    side = 512 if options.quick else 8192
    a, b = (torch.randn(side, side, device=options.device, dtype=torch.bfloat16) for _ in range(2))
    yield Row("matrix product, bfloat16", 2 * side**3 / seconds_of(lambda: a @ b, 1, options.device) / 1e12, "TFLOP/s")
    options.peak = convolution_peak(options.device, torch.bfloat16, 1) / 1e3
    conv = torch.nn.Conv2d(256, 256, 3, padding=1).to(options.device, torch.bfloat16)
    conv = conv.to(memory_format=torch.channels_last)
    batch = torch.randn(1 if options.quick else 16, 256, 64, 64, device=options.device, dtype=torch.bfloat16)
    batch = batch.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        taken = seconds_of(lambda: conv(batch), 1, options.device)
    options.peak = max(options.peak, 2 * 9 * 256 * 256 * 64 * 64 * len(batch) / taken / 1e12)
    yield Row("3x3 convolution, bfloat16", options.peak, "TFLOP/s")


def painting(options: argparse.Namespace) -> Iterator[Row]:
    """Frames from bytes to bytes, against Johnson's network as pytorch/examples defines it, eager and in float32."""
    sizes = {"256x144": (256, 144)} if options.quick else {"1080p": (1920, 1080), "4K": (3840, 2160)}
    reference = build_network("fast_neural_style").eval().requires_grad_(False).to(options.device)
    for name, (width, height) in sizes.items():
        frame = picture(-(-width // 8) * 8, -(-height // 8) * 8)

        def plain(frame: np.ndarray = frame) -> torch.Tensor:
            with torch.no_grad():
                batch = as_tensor(frame).to(options.device)
                return (255 * reference(batch / 255)).round().byte().cpu()

        slow = seconds_of(plain, 1, options.device)
        yield Row(f"plain PyTorch, Johnson's network, {name}", 1 / slow, "frames/s")
        for network in NETWORKS:
            engine = build_engine(build_network(network).eval(), str(options.device), "torch", "half")
            taken = seconds_of(lambda engine=engine, frame=frame: engine(frame), 1, options.device)
            share = 2 * macs_per_pixel(build_network(network)) * width * height / taken / options.peak / 1e12
            yield Row(f"{network}, {name}", f"{1 / taken:.1f} frames/s, {slow / taken:.1f} times plain, "
                                            f"{share:.1%} of the peak")  # fmt: skip


def training(options: argparse.Namespace) -> Iterator[Row]:
    """Images a second of one painter's training step, recorded as a graph and step by step."""
    crop, margin, batch, steps = (64, 32, 2, 2) if options.quick else (224, 96, 8, 60)
    photographs = find_images([options.photographs])
    pool = crop_pool(photographs[: 8 if options.quick else 100], crop, 2, margin=margin, device=str(options.device))
    for weights in ("slim", *([options.vgg] if options.vgg else [])):
        loss = loss_of(weights, options)
        loss.set_style(style_picture(next(iter(find_images([options.styles]))), options))
        for network in NETWORKS:
            painter = Painter(fresh(network, options), loss, pool, 10**6, batch=batch, margin=margin)
            stream, painter.stream = painter.stream, None
            eager = images_per_second(painter, steps, options)
            painter.stream = stream
            graph = images_per_second(painter, steps, options)
            name = "VGG-19" if weights == options.vgg else weights
            yield Row(
                f"training, {network}, {name}, {batch} crops of {crop}",
                f"{graph:.0f} images/s as a graph, {eager:.0f} step by step",
            )


def images_per_second(painter: Painter, steps: int, options: argparse.Namespace) -> float:
    painter.step()
    wait(options.device)
    started = time.perf_counter()
    for _ in range(steps):
        painter.step()
    wait(options.device)
    return steps * painter.batch / (time.perf_counter() - started)


def ranks(options: argparse.Namespace) -> Iterator[Row]:
    """`impasto train` itself, with DDP on all devices (NCCL on GPUs), and resumed: what its exit codes say."""
    with tempfile.TemporaryDirectory() as folder:
        style = Path(folder) / "style.png"
        write_image(style, from_levels(torch.from_numpy(procedural_image(3, 256)).permute(2, 0, 1)))
        small = (
            ["data.crop=64", "margin=8", "data.heldout_size=64", "style.size=128"]
            if options.quick
            else ["data.batch_size=8"]
        )
        words = [
            sys.executable, "-m", "impasto.training", f"style.image={style}", f"data.root={options.photographs}",
            "data.heldout=2",
            f"paths.run={folder}/run", *small,
        ]  # fmt: skip
        for what, more in {
            "one device": ["trainer.max_steps=20"],
            "resumed": ["trainer.max_steps=40", "ckpt_path=last"],
            "DDP": ["trainer=ddp", f"trainer.devices={max(1, torch.cuda.device_count())}", "trainer.max_steps=20",
                    f"paths.run={folder}/ddp"],
        }.items():  # fmt: skip
            started = time.perf_counter()
            done = subprocess.run([*words, *more], capture_output=True, text=True, timeout=150)
            if done.returncode:
                yield Row(f"impasto train, {what}", f"failed: {done.stderr[-1500:]}")
            else:
                yield Row(f"impasto train, {what}", time.perf_counter() - started, "s in all, exit 0")


def painters(options: argparse.Namespace) -> Iterator[Row]:
    """The shipped styles that have a picture in the folder, all at once, until the time is over."""
    there = {path.stem for path in find_images([options.styles])}
    names = [name for name in known_experiments() if name.removesuffix("_johnson") in there][
        : 1 if options.quick else None
    ]
    left = max(0.2, (options.ends - time.monotonic()) / 60)
    wanted = argparse.Namespace(
        names=names, pictures=options.styles, photographs=options.photographs, vgg=options.vgg or "slim",
        start=options.start, minutes=left, steps=0, batch=4,
        output=options.output,
    )  # fmt: skip
    made = train_styles(wanted, options.device)
    steps = read_metadata(made[0]).training.steps
    yield Row(f"{len(made)} painters at once", f"{steps} steps each in {left:.1f} minutes")


def fresh(network: str, options: argparse.Namespace) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network(network).to(options.device).to(memory_format=torch.channels_last).train()


def loss_of(weights: str, options: argparse.Namespace) -> Any:
    from impasto.losses.perceptual import PerceptualLoss

    return PerceptualLoss.from_spec(weights).to(options.device)


def style_picture(path: Path, options: argparse.Namespace) -> torch.Tensor:
    return resize(read_image(path), 128 if options.quick else 384)[None].to(options.device)


PARTS = (peaks, painting, training, ranks, painters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--vgg", help="VGG-19's weights, a path")
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True)
    parser.add_argument(
        "--start", type=Path, help="a style model that the painters begin with (default: the base weights)"
    )
    parser.add_argument("--minutes", type=float, default=7)
    parser.add_argument("--parts", nargs="+", default=[part.__name__ for part in PARTS])
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/on_gpu"))
    options = parser.parse_args()
    options.device, options.peak = pick_device(), 1.0
    options.quick |= options.device.type != "cuda"
    options.ends = time.monotonic() + 60 * options.minutes
    torch.backends.cudnn.benchmark = True
    rows = []
    for part in PARTS:
        if part.__name__ in options.parts:
            try:
                for row in part(options):
                    rows.append(row)
                    print(row, flush=True)
            except Exception as error:  # whatever a new machine has in store: the other parts go on
                traceback.print_exc()
                rows.append(Row(part.__name__, f"failed: {str(error)[:200]}"))
    report = {"date": str(date.today()), **provenance(options.device), "rows": [vars(row) for row in rows]}
    table = "\n".join(
        [
            f"{report['device']}, torch {report['torch']}, {report['date']}",
            "",
            "| | |",
            "| --- | --- |",
            *map(str, rows),
        ]
    )
    options.output.mkdir(parents=True, exist_ok=True)
    for name, text in {"on_gpu.json": json.dumps(report, indent=2), "on_gpu.md": table}.items():
        with written_whole(options.output / name) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    print("\n" + table)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
