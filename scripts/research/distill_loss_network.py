"""Distil VGG-19 to relu3_4 into the slim loss network that travels with impasto.

    python scripts/research/distill_loss_network.py --photographs DIR --paintings DIR [--vgg WEIGHTS] [-o checkpoints/loss/slim.safetensors]

The student has VGG-19's depth and pooling with half of the channels, and one linear map per named layer back into
VGG-19's channel space. It starts from VGG-19's own kernels: layer by layer, the channels that a column-pivoted QR of the
teacher's features picks. Then it learns, in rounds: painters are trained on the student as it stands, their outputs join
the pictures, and the student is distilled again, because painters find whatever it cannot see. docs/networks.md says what
the one in checkpoints/ learned from, and how faithful it is.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from impasto import images
from impasto.errors import ImageError
from impasto.inference import Stylizer
from impasto.losses.features import IMAGENET_MEAN, IMAGENET_STD, LAYERS, SLIM_LAYERS, VGGFeatures
from impasto.losses.functional import gram_matrix, relative_feature_loss, relative_gram_loss
from impasto.losses.perceptual import LossTerms, PerceptualLoss
from impasto.networks import build_network
from impasto.runtime import has_fast_bfloat16, pick_device, provenance, written_whole
from impasto.training.data import random_crop
from impasto.training.muon import Muon
from impasto.training.schedule import scheduled

NAMED = SLIM_LAYERS
PATH = list(LAYERS)[: list(LAYERS).index(NAMED[-1]) + 1]
WIDTHS = (32, 64, 128)  # of the blocks; VGG-19's are 64, 128, 256
CROP = 128  # pixels
PAIRS = 4  # in a batch, of crops of paintings and the same of their photographs
NATURAL = 2  # crops of other pictures beside them
GRAM_WEIGHT, DISTANCE_WEIGHT = 4.0, 4.0  # of errors beside those of the features


class Student(nn.Module):
    """VGG-19's path at half width, and for each named layer a 1x1 convolution into VGG-19's channels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions, self.maps, in_channels = nn.ModuleDict(), nn.ModuleDict(), 3
        for name in PATH:
            channels = WIDTHS[int(name[4]) - 1]
            self.convolutions[name] = nn.Conv2d(in_channels, channels, 3, padding=1)
            if name in NAMED:
                self.maps[name] = nn.Conv2d(channels, LAYERS[name][2], 1)
            in_channels = channels
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def before(self, name: str, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2) if LAYERS[name][3] else x

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x, features = (image - self.mean) / self.std, {}
        for name in PATH:
            x = self.convolutions[name](self.before(name, x)).relu()
            if name in NAMED:
                features[name] = self.maps[name](x)
        return features


# ------------------------------------------------------------------------------------------- the start


@torch.no_grad()
def update(
    network: nn.Module, loss: PerceptualLoss, optimizer: torch.optim.Optimizer, batch: Tensor
) -> tuple[Tensor, LossTerms]:
    """Take one step on `batch` (N, 3, H, W); return what the network made of it and its loss, both before the step."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=has_fast_bfloat16(batch.device)):
        output = network(batch)
        terms = loss(output, batch)
    optimizer.zero_grad()
    terms.total.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    return output.detach().float(), terms


def start_from(teacher: VGGFeatures, pictures: Tensor) -> Student:
    """The student made of the teacher's own kernels, without any training."""
    student = Student()
    weights = dict(teacher.named_buffers())
    x = wide = (pictures - student.mean) / student.std
    to_wide, shift = torch.eye(3), torch.zeros(3)  # wide ≈ to_wide x + shift
    for name in PATH:
        x, wide = student.before(name, x), student.before(name, wide)
        if LAYERS[name][3]:  # pooling does not commute with a linear map
            to_wide, shift = linear_map(x, wide)
        kernel, bias = weights[f"{name}_weight"], weights[f"{name}_bias"]
        wide = F.conv2d(wide, kernel, bias, padding=1).relu()
        convolution = student.convolutions[name]
        kept = pivots(wide, convolution.out_channels)
        convolution.weight.copy_(torch.einsum("oikl,ij->ojkl", kernel[kept], to_wide))
        convolution.bias.copy_(bias[kept] + torch.einsum("oikl,i->o", kernel[kept], shift))
        x = convolution(x).relu()
        to_wide, shift = linear_map(x, wide)
        if name in NAMED:
            student.maps[name].weight.copy_(to_wide[:, :, None, None])
            student.maps[name].bias.copy_(shift)
    return student


def pixels_of(features: Tensor, count: int = 16384) -> Tensor:
    """(N, C, H, W) -> (count, C): features at random places, the same ones for equal shapes."""
    flat = features.permute(0, 2, 3, 1).flatten(0, 2)
    return flat[torch.randperm(len(flat), generator=torch.Generator().manual_seed(0))[:count]]


def pivots(features: Tensor, count: int) -> Tensor:
    """The channels that span the others best, by column-pivoted QR."""
    _, order = scipy.linalg.qr(pixels_of(features).numpy(), mode="r", pivoting=True)
    return torch.from_numpy(np.sort(order[:count]).astype(np.int64))


def linear_map(narrow: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares: matrix (wide, narrow) and shift with wide ≈ matrix narrow + shift."""
    x, y = pixels_of(narrow), pixels_of(wide)
    centre, target = x.mean(0), y.mean(0)
    x, y = (x - centre).double(), (y - target).double()
    ridge = 1e-4 * (x.square().mean() * len(x)) * torch.eye(x.shape[1], dtype=torch.float64)
    matrix = torch.linalg.solve(x.mT @ x + ridge, x.mT @ y).mT.float()
    return matrix, target - matrix @ centre


# ------------------------------------------------------------------------------------------- the pictures


class Pictures:
    """Batches of crops: photographs and paintings as they are and altered, and what painters made of the photographs."""

    def __init__(self, photographs: Sequence[Tensor], paintings: Sequence[Tensor], seed: int = 0):
        self.photographs, self.paintings = list(photographs), list(paintings)
        self.painted: list[tuple[Tensor, Tensor]] = []
        self.random = np.random.default_rng(seed)

    def batch(self) -> Tensor:
        """`PAIRS` crops of paintings, the same crops of their photographs, and `NATURAL` others."""
        painted, photographs = zip(*(self._pair() for _ in range(PAIRS)), strict=True)
        return torch.stack([*painted, *photographs, *(self._natural() for _ in range(NATURAL))])

    def photograph_batch(self, size: int) -> Tensor:
        return torch.stack([self._crop(self._pick(self.photographs), size) for _ in range(2)])

    def _pair(self) -> tuple[Tensor, Tensor]:
        if not self.painted:
            return self._natural(), self._natural()
        painting, photograph = self._pick(self.painted)
        share = self.random.choice([1.0, self.random.uniform(0.1, 1.0)])
        top, left = (self.random.integers(0, side - CROP + 1) for side in painting.shape[1:])
        window = (slice(None), slice(top, top + CROP), slice(left, left + CROP))
        return share * painting[window] + (1 - share) * photograph[window], photograph[window]

    def _natural(self) -> Tensor:
        # Paintings above all: photographs come with what was made of them.
        crop = self._crop(self._pick(self.photographs if self.random.uniform() < 0.25 else self.paintings), CROP)
        kind = self.random.integers(0, 8)
        if kind == 0:
            crop = crop + self.random.uniform(0, 0.3) * self._normal()
        elif kind == 1:
            crop = self.random.uniform() * crop[torch.from_numpy(self.random.permutation(3))]
        elif kind == 2:
            crop = 0.5 + self.random.uniform(0.05, 0.3) * self._normal()
        return crop.clamp(0, 1)

    def _crop(self, picture: Tensor, size: int) -> Tensor:
        return random_crop((picture * 255).byte().permute(1, 2, 0).numpy(), size, self.random)

    def _normal(self) -> Tensor:
        return torch.from_numpy(self.random.standard_normal((3, CROP, CROP)).astype(np.float32))

    def _pick(self, items: Sequence):
        return items[self.random.integers(len(items))]


# ------------------------------------------------------------------------------------------- learning


def distil(student: Student, teacher: VGGFeatures, pictures: Pictures, minutes: float, rate: float) -> None:
    """Lower the errors of features, Gram matrices and distances for so many minutes.

    Least squares alone keeps less of how a painting differs from its photograph than of the photograph: all content
    losses would come out too low, and painters find what is missing. So the distances are a target of their own.
    """
    optimizer = Muon(student.parameters(), lr=rate, adam_part=0.3)
    for step, gone in scheduled(optimizer, 60 * minutes):
        batch = pictures.batch().contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=FAST):
            with torch.no_grad():
                wanted = teacher(batch)
            had = student(batch)
        errors = [relative_feature_loss(had[name], wanted[name]).mean() for name in NAMED]
        off = [distance_error(had[name], wanted[name]) for name in NAMED]
        grams = [relative_gram_loss(gram_matrix(had[name]), gram_matrix(wanted[name])).mean() for name in NAMED]
        optimizer.zero_grad()
        (torch.stack(errors) + GRAM_WEIGHT * torch.stack(grams) + DISTANCE_WEIGHT * torch.stack(off)).sum().backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            shown = (" ".join(f"{float(error.detach()):.3f}" for error in found) for found in (errors, grams, off))
            print(
                f"  step {step}, {gone:4.0%}: features {next(shown)}, Grams {next(shown)}, distances {next(shown)}",
                flush=True,
            )


def distance_error(had: Tensor, wanted: Tensor) -> Tensor:
    """The mean squared logarithm of the student's content distance over the teacher's, painting to photograph."""
    ratios = [relative_feature_loss(*f.split((PAIRS, PAIRS, NATURAL))[:2]) for f in (had, wanted)]
    return (ratios[0] / ratios[1]).log().square().mean()


def train_painter(loss: PerceptualLoss, pictures: Pictures, minutes: float, start: Path | None) -> nn.Module:
    """A painter of `loss`'s style, as `impasto train` would make one; its outputs on the way join `pictures`."""
    network = Stylizer(start).model.network.requires_grad_(True) if start else build_network("johnson", width=16)
    network.train().to(memory_format=torch.channels_last)
    optimizer, kept = Muon(network.parameters()), 0.0
    for _, gone in scheduled(optimizer, 60 * minutes):
        batch = pictures.photograph_batch(192).contiguous(memory_format=torch.channels_last)
        output, terms = update(network, loss, optimizer, batch)
        if gone > kept + 0.025:
            kept = gone
            pictures.painted += list(zip(output, batch, strict=True))
    print(f"    loss {float(terms.total.detach()):.3f}", flush=True)
    return network.eval()


# ------------------------------------------------------------------------------------------- the file


def folded(student: Student) -> dict[str, Tensor]:
    """The student as `VGGFeatures` reads it: torchvision's keys, and maps that keep VGG-19's distances.

    A map's wide output A f + b lives in the span of A's columns, b and, to keep the mean over channels, the vector of
    ones. An orthonormal basis of that span turned so that all its columns have the same sum gives coordinates, a few
    more than f has, whose relative errors and relative Gram distances are those of the wide features.
    """
    state = {}
    for name in PATH:
        convolution = student.convolutions[name]
        state[f"features.{LAYERS[name][0]}.weight"] = convolution.weight
        state[f"features.{LAYERS[name][0]}.bias"] = convolution.bias
    for name in NAMED:
        matrix, bias = (
            student.maps[name].weight.detach()[:, :, 0, 0].double(),
            student.maps[name].bias.detach().double(),
        )
        ones = torch.ones_like(bias)
        basis, _ = torch.linalg.qr(torch.cat([matrix, bias[:, None], ones[:, None]], dim=1))
        basis = basis @ rotation(basis.mT @ ones)
        state[f"maps.{name}.weight"] = (basis.mT @ matrix)[:, :, None, None]
        state[f"maps.{name}.bias"] = basis.mT @ bias
    return {key: value.detach().half().contiguous() for key, value in state.items()}


def rotation(vector: Tensor) -> Tensor:
    """An orthogonal matrix R (Householder's) such that Rᵀ `vector` has equal entries."""
    target = torch.full_like(vector, float(vector.norm()) / len(vector) ** 0.5)
    normal = vector - target
    return torch.eye(len(vector), dtype=vector.dtype) - 2 * torch.outer(normal, normal) / normal.square().sum()


def save(student: Student, path: Path) -> None:
    with written_whole(path) as temporary:
        save_file(folded(student), temporary)


# ------------------------------------------------------------------------------------------- the whole


def read_folder(folder: Path, size: int) -> list[Tensor]:
    """The folder's pictures, their shorter side `size`; what cannot be read is passed over."""
    pictures = []
    for path in images.find_images([folder]):
        try:
            picture = images.read_image(path)
        except ImageError as error:
            print(error)
            continue
        height, width = picture.shape[1:]
        pictures.append(images.resize(picture, round(size * max(height, width) / min(height, width))))
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vgg", default="torchvision", help="VGG-19's weights: torchvision or a path")
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--paintings", type=Path, required=True, help="style pictures; painters are trained on them")
    parser.add_argument("--painters", type=Path, nargs="*", default=[], help="style models whose outputs join at once")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument(
        "--minutes", type=float, default=5, help="of distillation in each round; the last one takes three times as long"
    )
    parser.add_argument(
        "--painters-a-round", type=int, default=4, help="trained on the student after each round but the last"
    )
    parser.add_argument("--painter-minutes", type=float, default=0.5, help="for each of them")
    parser.add_argument("--base", type=Path, help="a model that they start from (default: random weights)")
    parser.add_argument("-o", "--output", type=Path, default=Path("checkpoints/loss/slim.safetensors"))
    options = parser.parse_args()

    torch.manual_seed(0)
    teacher = VGGFeatures(NAMED, options.vgg)
    pictures = Pictures(read_folder(options.photographs, 320), read_folder(options.paintings, 384))
    for painter in map(Stylizer, options.painters):
        photographs = [pictures.photograph_batch(192) for _ in range(4)]
        pictures.painted += [(painter.paint(p[None])[0], p) for batch in photographs for p in batch]
    student = start_from(teacher, torch.stack([pictures._natural() for _ in range(48)]))
    student.to(memory_format=torch.channels_last)
    print(f"{sum(p.numel() for p in student.convolutions.parameters())} parameters, {provenance()}")
    styles = itertools.cycle(pictures.paintings)
    for turn in range(options.rounds):
        print(f"round {turn + 1}: {len(pictures.painted)} painted pictures", flush=True)
        last = turn + 1 == options.rounds
        distil(student, teacher, pictures, options.minutes * (3 if last else 1), 3e-3 if turn == 0 else 2e-3)
        save(student, options.output)
        if last:
            break
        loss = PerceptualLoss(VGGFeatures(NAMED, str(options.output)))
        for style in itertools.islice(styles, options.painters_a_round):
            loss.set_style(style[None])
            train_painter(loss, pictures, options.painter_minutes, options.base)
    print(options.output)


FAST = has_fast_bfloat16(pick_device("cpu"))

if __name__ == "__main__":
    main()
