"""Train the predictor of painters: pairs of a photograph and a style picture, a new style for every photograph.

    python scripts/research/train_predictor.py --photographs DIR... --styles DIR... -o FILE [--minutes 60]

One style picture in ten is held out, by the SHA-256 of its name. The rest comes turned, cropped, scaled and recoloured;
pictures made by code come with it. Progress is saved beside the output every few minutes; the same command goes on from
there.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from many_painters import compact, crop_pool
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from impasto.any_style.files import is_held_out, load_predictor, save_predictor
from impasto.any_style.predictor import StylePredictor
from impasto.checkpoint import load_style_model
from impasto.errors import ImageError
from impasto.images.finding import find_images
from impasto.images.geometry import Padding, padding, resize
from impasto.images.reading import read_image
from impasto.losses.defects import grid_energy
from impasto.losses.perceptual import PerceptualLoss, layers_among
from impasto.networks import stride_and_surround
from impasto.synthetic.styles import STYLES, make_style
from impasto.system.machine import has_fast_bfloat16, pick_device, provenance
from impasto.training.muon import Muon
from impasto.training.plain import inside, surrounded
from impasto.training.record import loss_record
from impasto.training.schedule import averaging

SIZES = (384, 448, 512, 512, 512, 576, 640)
EVERY = 100  # updates between two lines of progress


@dataclass
class StyleBank:
    """Statistics of many style pictures, (M, ...) each, covariances of layers in bfloat16; others replace them."""

    pictures: Sequence[Path]
    loss: PerceptualLoss
    random: np.random.Generator
    device: torch.device

    def statistics(self) -> dict[str, Tensor]:
        """Those of a picture that is drawn, turned, cropped, scaled and recoloured, at all octaves."""
        while True:
            try:
                self.loss.set_style(self._drawn()[None].to(self.device))
            except ImageError as error:
                print(error)
                continue
            if len(layers_among(self.loss.style_targets)) == self.loss.octaves * len(self.loss.style_layers):
                return {name: target[0] for name, target in compact(self.loss.style_targets).items()}

    def _drawn(self) -> Tensor:
        number = int(self.random.integers(len(self.pictures)))
        picture = read_image(self.pictures[number], at_least=768)
        picture = recoloured(turned(cropped(picture, self.random), self.random), self.random)
        return resize(picture, int(self.random.choice(SIZES))).clamp(0, 1)

    def fill(self, count: int) -> None:
        first = self.statistics()
        self.kept = {name: torch.empty(count, *value.shape, dtype=value.dtype) for name, value in first.items()}
        started = time.monotonic()
        for number in range(count):
            self.renew(number)
            if number % 200 == 199:
                print(f"{number + 1} styles in {time.monotonic() - started:.0f} s", flush=True)

    def renew(self, number: int | None = None) -> None:
        size = len(next(iter(self.kept.values())))
        place = int(self.random.integers(size)) if number is None else number
        for name, value in self.statistics().items():
            self.kept[name][place] = value

    def draw(self, count: int) -> dict[str, Tensor]:
        chosen = torch.from_numpy(self.random.integers(len(next(iter(self.kept.values()))), size=count))
        return {name: kept[chosen].to(self.device).float() for name, kept in self.kept.items()}


def cropped(picture: Tensor, random: np.random.Generator) -> Tensor:
    height, width = picture.shape[1:]
    part = 1.0 if random.random() < 0.3 else random.uniform(0.55, 1)
    rows, columns = max(128, int(height * part)), max(128, int(width * part))
    top, left = (int(random.integers(max(1, side - inside + 1))) for side, inside in ((height, rows), (width, columns)))
    return picture[:, top : top + rows, left : left + columns]


def turned(picture: Tensor, random: np.random.Generator) -> Tensor:
    if random.random() < 0.5:
        picture = picture.flip(2)
    return picture.rot90(int(random.integers(1, 4)), (1, 2)) if random.random() < 0.2 else picture


def recoloured(picture: Tensor, random: np.random.Generator) -> Tensor:
    if random.random() < 0.25:
        picture = picture[torch.from_numpy(random.permutation(3))]
    if random.random() < 0.3:
        gamma = torch.from_numpy(random.uniform(0.7, 1.4, (3, 1, 1))).float()
        picture = picture.clamp_min(1e-4) ** gamma
    if random.random() < 0.15:
        grey = picture.mean(dim=0, keepdim=True)
        picture = grey + (picture - grey) * float(random.uniform(0, 1.5))
    return picture.clamp(0, 1)


class Trial:
    """Photographs in styles that are held out, always the same."""

    def __init__(self, paths: Sequence[Path], loss: PerceptualLoss, pool: Tensor, count: int = 24):
        self.loss, pictures = loss, []
        for path in sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())[:count]:
            loss.set_style(resize(read_image(path), 512)[None].to(pool.device))
            pictures.append(loss.style_targets)
        pictures = [picture for picture in pictures if picture.keys() == pictures[0].keys()]
        self.statistics = {name: torch.cat([picture[name] for picture in pictures]) for name in pictures[0]}
        self.photographs = pool[torch.linspace(0, len(pool) - 1, len(pictures)).long()]

    @torch.no_grad()
    def score(self, predictor: StylePredictor, around: Padding) -> Tensor:
        content = self.photographs.permute(0, 3, 1, 2).float() / 255
        output = inside(predictor(self.statistics, surrounded(content, around)), around)
        self.loss.style_targets = self.statistics
        terms = self.loss.compare_each(output, self.loss.content_features(content))
        return torch.stack([terms.content.mean(), terms.style.median()])


def rates(minutes: float, cooling: float) -> Iterator[tuple[int, float]]:
    """Step number and factor of the learning rate: constant, then linearly to zero in the last part of the time."""
    started, step = time.monotonic(), 0
    while (gone := (time.monotonic() - started) / (60 * minutes)) < 1:
        yield step, min(1.0, (step + 1) / 200, max(0.02, (1 - gone) / cooling if cooling else 1.0))
        step += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, nargs="+", required=True)
    parser.add_argument("--styles", type=Path, nargs="+", required=True)
    parser.add_argument("--start", type=Path, default=Path("checkpoints/base/brush.safetensors"), help="a painter")
    parser.add_argument("--go-on", type=Path, help="a predictor to go on from, where there is no saved progress")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--cooling", type=float, default=0.25, help="part of the time in which the rate falls to zero")
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--margin", type=int, default=96)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--strength", type=float, default=1.0, help="of the style, as style.strength")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--bank", type=int, default=1500, help="styles at a time")
    parser.add_argument("--renew", type=int, default=4, help="steps until one of them is exchanged")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    torch.manual_seed(int(time.time()) if options.output.exists() else 0)
    random, device = np.random.default_rng(torch.initial_seed()), pick_device()
    features = PerceptualLoss.from_spec("slim").to(device).features
    found = find_images(options.styles)
    paths = [path for path in found if not is_held_out(path)]
    unseen = [path for path in found if is_held_out(path) and "textures" not in path.parts]
    made = options.output.with_name("made_styles")
    if not made.is_dir():
        made.mkdir(parents=True)
        for name in STYLES:
            for seed in range(6):
                make_style(name, 640, seed).save(made / f"{name}-{seed}.png")
    paths += sorted(made.iterdir())
    bank = StyleBank(paths, PerceptualLoss(features), random, device)
    kept = options.output.with_name(f"bank-{options.bank}.pt")
    if kept.is_file():
        bank.kept = torch.load(kept, weights_only=True)
    wanted = {name: value.dtype for name, value in bank.statistics().items()}
    is_of_this_loss = kept.is_file() and {name: value.dtype for name, value in bank.kept.items()} == wanted
    if not is_of_this_loss:
        bank.fill(options.bank)
        torch.save(bank.kept, kept)
    base = load_style_model(options.start)
    channels = {name: bank.kept[name].shape[1] for name in layers_among(bank.kept)}
    predictor = StylePredictor(base.spec, channels).to(device)
    predictor.painter.load_state_dict(base.network.state_dict())
    if options.go_on:
        predictor.load_state_dict(load_predictor(options.go_on).network.state_dict())
    else:
        predictor.reader.fit(bank.kept)
    average = AveragedModel(predictor, avg_fn=averaging(0.998)).requires_grad_(False)
    averaged = average.module
    assert isinstance(averaged, StylePredictor)
    optimizer, done = Muon(predictor.parameters(), lr=options.rate), 0
    peaks = [group["lr"] for group in optimizer.param_groups]  # of a state that was saved they are those of its moment
    state_path = options.output.with_suffix(".state.pt")
    if state_path.is_file():
        state = torch.load(state_path, weights_only=True)
        predictor.load_state_dict(state["predictor"])
        averaged.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["done"]
        average.n_averaged.fill_(done)
    pool_path = options.output.with_name(f"pool-{options.crop}.pt")
    if pool_path.is_file():
        pool = torch.load(pool_path, weights_only=True)
    else:
        pool = crop_pool(find_images(options.photographs), options.crop, 5, procedural=50, margin=0)
        torch.save(pool, pool_path)
    around = padding(options.crop, options.crop, stride_and_surround(averaged.painter)[0], options.margin)
    trial = Trial(unseen, PerceptualLoss(features), pool)
    loss = PerceptualLoss(features)
    loss.style_weight *= options.strength
    print(f"{len(paths)} styles, {len(pool)} crops, {sum(p.numel() for p in predictor.parameters()):,} parameters, "
          f"step {done}", flush=True)  # fmt: skip
    running, started, saved = None, time.monotonic(), time.monotonic()

    def save() -> None:
        state = {"predictor": predictor.state_dict(), "average": averaged.state_dict()}
        torch.save({**state, "optimizer": optimizer.state_dict(), "done": done}, state_path.with_suffix(".tmp"))
        state_path.with_suffix(".tmp").replace(state_path)
        training = {"updates": done, "styles": len(paths), **provenance(device)}
        save_predictor(options.output, averaged, loss_record(loss), training, closer=None)

    for step, factor in rates(options.minutes, options.cooling):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        batch = pool[torch.randint(len(pool), (options.batch,))].to(device).permute(0, 3, 1, 2).float() / 255
        statistics = loss.style_targets = bank.draw(options.batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device), cache_enabled=False):
            output = inside(predictor(statistics, surrounded(batch, around)), around)
            terms = loss(output, batch)
        grid = 10 * grid_energy(output, 8).mean()
        optimizer.zero_grad(set_to_none=True)
        (terms.total + grid).backward()
        torch.nn.utils.clip_grad_norm_(predictor.parameters(), 5.0, foreach=True)
        optimizer.step()
        average.update_parameters(predictor)
        done += 1
        now = torch.stack([*terms, grid]).detach()
        running = now if running is None else running.lerp(now, 0.01)
        if step % options.renew == 0:
            bank.renew()
        if step % EVERY == EVERY - 1:
            shown = ", ".join(
                f"{name} {value:.3f}" for name, value in zip(("content", "style", "tv", "grid"), running, strict=True)
            )
            print(f"{done} updates, {(time.monotonic() - started) / (step + 1):.2f} s each: {shown}, "
                  f"total {running[:3].sum():.3f}", flush=True)  # fmt: skip
        if step % (5 * EVERY) == 0:
            content_loss, style_loss = trial.score(averaged, around).tolist()
            print(f"unseen styles: content {content_loss:.3f}, style (median) {style_loss:.3f}", flush=True)
        if time.monotonic() - saved > 180:
            save()
            saved = time.monotonic()
    save()
    print(options.output)


if __name__ == "__main__":
    main()
