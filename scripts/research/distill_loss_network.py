"""Distil VGG-19 to relu3_4 into the slim loss network that travels with impasto.

    python scripts/research/distill_loss_network.py --photographs DIR --paintings DIR... [--vgg WEIGHTS]
        [--start slim] [-o FILE]

The student has VGG-19's depth and pooling with half of the channels, and one linear map per named layer back into
VGG-19's channel space. It starts from VGG-19's own kernels, layer by layer the channels that a column-pivoted QR of the
teacher's features picks, or from a slim network that there is. Then it learns, in rounds, what the perceptual loss asks
of it: features, means, covariances and the distances between pictures, in colour and in normalised luminance, at every
octave. Between the rounds painters are trained and pictures optimised on the student as it stands. Their results join
the pictures, because both find whatever the student cannot see. docs/results.md says how faithful the one in
checkpoints/ is.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from many_painters import Painter, crop_pool, surroundings, train_all
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.checkpoint import load_style_model
from impasto.errors import ImageError
from impasto.images.finding import find_images
from impasto.images.geometry import resize
from impasto.images.reading import read_image
from impasto.losses.features import IMAGENET_MEAN, IMAGENET_STD, LAYERS, SLIM_LAYERS, VGGFeatures
from impasto.losses.functional import (
    halved,
    normalized_luminance,
    relative_feature_loss,
    relative_gram_loss,
    relative_mean_loss,
)
from impasto.losses.moments import mean_and_covariance
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network
from impasto.system.files import written_whole
from impasto.system.machine import has_fast_bfloat16, pick_device, provenance
from impasto.training.muon import Muon
from impasto.training.plain import inside
from impasto.training.schedule import scheduled

NAMED = SLIM_LAYERS
PATH = list(LAYERS)[: list(LAYERS).index(NAMED[-1]) + 1]
WIDTHS = (32, 64, 128)  # of the blocks; VGG-19's are 64, 128, 256
POOL = 192  # pixels of what crops are taken from: at the coarsest octave 24 are left
CROP = 128  # pixels, at full size
OCTAVES, SHARES = 4, (0.4, 0.25, 0.2, 0.15)  # how often each octave is drawn
PAIRS = 4  # in a batch at full size, of paintings and their photographs; twice as many at each coarser octave
MARGIN = 96  # pixels around what painters are judged on
AROUND = surroundings(MARGIN)
STATISTICS_WEIGHT, DISTANCE_WEIGHT = 4.0, 4.0  # of errors beside those of the features
FLOOR = 1e-3  # of a distance whose logarithm is taken


class Student(nn.Module):
    """VGG-19's path at half width, and for each named layer a 1x1 convolution into VGG-19's channels."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions, self.maps, in_channels = nn.ModuleDict(), nn.ModuleDict(), 3
        for name in PATH:
            channels = WIDTHS[int(name[4]) - 1]
            self.convolutions[name] = nn.Conv2d(in_channels, channels, 3, padding=1)
            if name in NAMED:
                self.maps[name] = nn.Conv2d(channels, LAYERS[name].channels, 1)
            in_channels = channels
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def before(self, name: str, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2) if LAYERS[name].pooled else x

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x, features = (image - self.mean) / self.std, {}
        for name in PATH:
            x = self.convolutions[name](self.before(name, x)).relu()
            if name in NAMED:
                features[name] = self.maps[name](x)
        return features


def convolution_of(modules: nn.ModuleDict, name: str) -> nn.Conv2d:
    convolution = modules[name]
    assert isinstance(convolution, nn.Conv2d)
    return convolution


def fill(convolution: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    assert convolution.bias is not None
    convolution.weight.copy_(weight)
    convolution.bias.copy_(bias)


# ------------------------------------------------------------------------------------------- the start


@torch.no_grad()
def start_from(teacher: VGGFeatures, pictures: Tensor) -> Student:
    """The student made of the teacher's own kernels, without any training."""
    student = Student()
    weights = dict(teacher.named_buffers())
    x = wide = (pictures - student.mean) / student.std
    to_wide, shift = torch.eye(3), torch.zeros(3)  # wide ≈ to_wide x + shift
    for name in PATH:
        x, wide = student.before(name, x), student.before(name, wide)
        if LAYERS[name].pooled:  # pooling does not commute with a linear map
            to_wide, shift = linear_map(x, wide)
        kernel, bias = weights[f"{name}_weight"], weights[f"{name}_bias"]
        wide = F.conv2d(wide, kernel, bias, padding=1).relu()
        convolution = convolution_of(student.convolutions, name)
        kept = pivots(wide, convolution.out_channels)
        fill(
            convolution,
            torch.einsum("oikl,ij->ojkl", kernel[kept], to_wide),
            bias[kept] + torch.einsum("oikl,i->o", kernel[kept], shift),
        )
        x = convolution(x).relu()
        to_wide, shift = linear_map(x, wide)
        if name in NAMED:
            fill(convolution_of(student.maps, name), to_wide[:, :, None, None], shift)
    return student


def pixels_of(features: Tensor, count: int = 16384) -> Tensor:
    """(N, C, H, W) -> (count, C): features at random places, the same ones for equal shapes."""
    flat = features.permute(0, 2, 3, 1).flatten(0, 2)
    return flat[torch.randperm(len(flat), generator=torch.Generator().manual_seed(0))[:count]]


def pivots(features: Tensor, count: int) -> Tensor:
    """The channels that span the others best, by column-pivoted QR."""
    order = np.asarray(scipy.linalg.qr(pixels_of(features).numpy(), mode="r", pivoting=True)[-1])
    return torch.from_numpy(np.sort(order[:count]).astype(np.int64))


def linear_map(narrow: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares: matrix (wide, narrow) and shift with wide ≈ matrix narrow + shift."""
    x, y = pixels_of(narrow), pixels_of(wide)
    centre, target = x.mean(0), y.mean(0)
    x, y = (x - centre).double(), (y - target).double()
    ridge = 1e-4 * (x.square().mean() * len(x)) * torch.eye(x.shape[1], dtype=torch.float64)
    matrix = torch.linalg.solve(x.mT @ x + ridge, x.mT @ y).mT.float()
    return matrix, target - matrix @ centre


@torch.no_grad()
def go_on_from(slim: str, teacher: VGGFeatures, pictures: Tensor) -> Student:
    """The student that a slim network is, its maps fitted to the teacher's channels again."""
    student, features = Student(), VGGFeatures(NAMED, slim)
    weights = dict(features.named_buffers())
    for name in PATH:
        fill(convolution_of(student.convolutions, name), weights[f"{name}_weight"], weights[f"{name}_bias"])
    own, wide = features(pictures), teacher(pictures)
    for name in NAMED:
        matrix, shift = linear_map(own[name].narrow, wide[name].full())
        fill(convolution_of(student.maps, name), matrix[:, :, None, None], shift)
    return student


# ------------------------------------------------------------------------------------------- the pictures


class Pictures:
    """Batches of crops: paintings beside the same crops of their photographs, and natural pictures, as they are and
    altered.

    Args:
        natural: (M, 192, 192, 3) uint8, crops of photographs, paintings and textures.

    Pictures are drawn with PyTorch's generator of the device, where they all lie.
    """

    def __init__(self, natural: Tensor):
        self.natural, self.device = natural, natural.device
        self.painted: list[tuple[Tensor, Tensor]] = []

    def join(self, paintings: Tensor, photographs: Tensor) -> None:
        """Add pictures (N, 3, H, W) in [0, 1] and the photographs that they were made of; sides of 192 or more."""
        for pair in zip(paintings, photographs, strict=True):
            first, second = (_as_bytes(picture) for picture in pair)
            self.painted.append((first, second))

    def batch(self) -> tuple[Tensor, int]:
        """A batch of one octave and the number of its pairs: paintings, their photographs, then natural pictures."""
        octave = int(torch.multinomial(torch.tensor(SHARES), 1))
        pairs = PAIRS * 2**octave
        pictures = torch.cat([self._pairs(pairs), self._natural(pairs)])
        for _ in range(octave):
            pictures = halved(pictures)
        return self._cut(pictures, pairs) if octave == 0 else pictures, pairs

    def photographs(self, count: int) -> Tensor:
        return self._drawn(count)

    def _pairs(self, count: int) -> Tensor:
        chosen = torch.randint(len(self.painted), (count,)).tolist()
        tops = torch.randint(10**6, (count, 2)).tolist()
        pairs = [
            tuple(_window(side, *top) for side in self.painted[each]) for each, top in zip(chosen, tops, strict=True)
        ]
        paintings, photographs = (_as_floats(torch.stack(side)) for side in zip(*pairs, strict=True))
        share = self._uniform(count).clamp(min=0.1)
        share = torch.where(self._uniform(count) < 0.5, 1.0, share)  # half of them as they are, half on the way
        return torch.cat([share * paintings + (1 - share) * photographs, photographs])

    def _natural(self, count: int) -> Tensor:
        pictures, kind = self._drawn(count), 8 * self._uniform(count)
        noise = torch.randn_like(pictures)
        strength = self._uniform(count)
        mixed = self._uniform(count) * pictures[:, torch.randperm(3, device=self.device)]
        pictures = torch.where(kind < 1, pictures + 0.3 * strength * noise, pictures)
        pictures = torch.where((kind >= 1) & (kind < 2), mixed, pictures)
        return torch.where(kind >= 7.5, 0.5 + 0.3 * strength * noise, pictures).clamp(0, 1)

    def _drawn(self, count: int) -> Tensor:
        return _as_floats(self.natural[torch.randint(len(self.natural), (count,), device=self.device)])

    def _uniform(self, count: int) -> Tensor:
        return torch.rand(count, 1, 1, 1, device=self.device)

    def _cut(self, pictures: Tensor, pairs: int) -> Tensor:
        top, left = torch.randint(POOL - CROP + 1, (2,)).tolist()
        return pictures[..., top : top + CROP, left : left + CROP]


def _window(picture: Tensor, top: int, left: int) -> Tensor:
    """The 192 pixels of (H, W, 3) at a place that large random numbers choose."""
    top, left = top % (picture.shape[0] - POOL + 1), left % (picture.shape[1] - POOL + 1)
    return picture[top : top + POOL, left : left + POOL]


def _as_bytes(picture: Tensor) -> Tensor:
    return (255 * picture.detach()).round().byte().permute(1, 2, 0).contiguous()


def _as_floats(pictures: Tensor) -> Tensor:
    return pictures.permute(0, 3, 1, 2).float() / 255


# ------------------------------------------------------------------------------------------- learning


def distil(student: Student, teacher: VGGFeatures, pictures: Pictures, minutes: float, rate: float) -> None:
    """Lower the errors of features, statistics and distances for so many minutes.

    Least squares alone keeps less of how a painting differs from its photograph than of the photograph: all content
    losses would come out too low, and painters find what is missing. So the distances are a target of their own.
    """
    optimizer = Muon(student.parameters(), lr=rate, adam_part=0.3)
    fast = has_fast_bfloat16(pictures.device)
    for step, gone in scheduled(optimizer, 60 * minutes):
        colour, pairs = pictures.batch()
        batch = torch.cat([colour, normalized_luminance(colour[: 2 * pairs])])
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=fast):
            with torch.no_grad():
                wanted = {name: layer.full() for name, layer in teacher(batch).items()}
            had = student(batch)
        errors = torch.stack([errors_of(had[name], wanted[name], pairs) for name in NAMED])  # (layers, 3)
        weights = errors.new_tensor([1.0, STATISTICS_WEIGHT, DISTANCE_WEIGHT])
        optimizer.zero_grad()
        (errors * weights).sum().backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0:
            shown = ", ".join(" ".join(f"{each:.3f}" for each in column) for column in errors.detach().T.tolist())
            print(f"  step {step}, {gone:4.0%}: features, statistics, distances {shown}", flush=True)


def errors_of(had: Tensor, wanted: Tensor, pairs: int) -> Tensor:
    """The student's errors in one layer: of features, of means and covariances, of distances between pictures."""
    (mean, covariance), (true_mean, true_covariance) = mean_and_covariance(had), mean_and_covariance(wanted)
    statistics = relative_mean_loss(mean, true_mean) + relative_gram_loss(covariance, true_covariance)
    # Content: each painting to its photograph, in colour and in luminance. Style: each painting to a natural picture.
    groups = (
        slice(0, pairs),
        slice(pairs, 2 * pairs),
        slice(2 * pairs, 3 * pairs),
        slice(3 * pairs, 4 * pairs),
        slice(4 * pairs, None),
    )
    painting, photograph, natural, grey, grey_photograph = groups
    contents = [
        (relative_feature_loss(of[a], of[b]))
        for a, b in ((painting, photograph), (grey, grey_photograph))
        for of in (had, wanted)
    ]
    styles = [
        distance(of[painting], of[natural])
        for distance, both in (
            (relative_mean_loss, (mean, true_mean)),
            (relative_gram_loss, (covariance, true_covariance)),
        )
        for of in both
    ]
    found = [*contents, *styles]
    off = [
        ((ours + FLOOR) / (theirs + FLOOR)).log().square().mean()
        for ours, theirs in zip(found[::2], found[1::2], strict=True)
    ]
    return torch.stack([relative_feature_loss(had, wanted).mean(), statistics.mean(), torch.stack(off).mean()])


class Adversaries:
    """Painters and pictures that learn on the student as it stands, and what they make of photographs.

    Args:
        features: a slim network, whose weights each round replaces.
        start: the style model that painters begin with.
        pool: photographs for the painters, as `crop_pool` gives them.
        styles: style pictures, (1, 3, H, W) each.
    """

    def __init__(self, features: VGGFeatures, start: Path, pool: Tensor, styles: Sequence[Tensor], painters: int):
        base = load_style_model(start)
        self.styles, self.pool, self.turn = list(styles), pool, 0
        self.base = [parameter.to(pool.device) for parameter in base.network.parameters()]
        self.loss = PerceptualLoss(features)
        self.painters = []
        for _ in range(painters):
            network = build_network(**base.spec).to(pool.device).to(memory_format=torch.channels_last).train()
            loss = PerceptualLoss(features)
            loss.set_style(self.styles[0])
            self.painters.append(Painter(network, loss, pool, 10**6, margin=MARGIN))

    def next_style(self) -> Tensor:
        self.turn += 1
        return self.styles[self.turn % len(self.styles)]

    def learn(self, student: Student, pictures: Pictures, updates: int, steps: int) -> None:
        """Train all painters for so many updates and optimise pictures for so many steps;
        the results join `pictures`.
        """
        replace_weights(self.loss.features, student)
        for painter in self.painters:
            painter.restart(self.base)
            self.loss.set_style(self.next_style())
            painter.loss.exchange_style(self.loss.style_targets)
        for _ in train_all(self.painters, updates, every=max(1, updates // 3)):
            for painter in self.painters:
                batch = painter.draw()
                with torch.no_grad():
                    pictures.join(*(inside(each, AROUND) for each in (painter.network(batch).float(), batch)))
        for _ in range(len(self.painters)):
            self.optimize(pictures, steps)

    def optimize(self, pictures: Pictures, steps: int) -> None:
        """Adam on the pixels of eight photographs, which sees more of the student's weaknesses than any painter."""
        self.loss.set_style(self.next_style())
        photographs = pictures.photographs(8)
        content = self.loss.content_features(photographs)
        painting = photographs.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([painting], lr=0.03)
        for step in range(steps):
            with torch.autocast(painting.device.type, torch.bfloat16, enabled=has_fast_bfloat16(painting.device)):
                total = self.loss.compare(painting, content).total
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            with torch.no_grad():
                painting.clamp_(0, 1)
            if step in (steps // 4, steps - 1):
                pictures.join(painting, photographs)


def replace_weights(features: VGGFeatures, student: Student) -> None:
    """Let `features` see with the student's eyes; graphs that were recorded with it do, too."""
    state, buffers = folded(student), dict(features.named_buffers())
    for name in PATH:
        for part in ("weight", "bias"):
            buffers[f"{name}_{part}"].copy_(state[f"features.{LAYERS[name].position}.{part}"])
            if name in NAMED:
                buffers[f"{name}_map_{part}"].copy_(state[f"maps.{name}.{part}"])


# ------------------------------------------------------------------------------------------- the file


def folded(student: Student) -> dict[str, Tensor]:
    """The student as `VGGFeatures` reads it: torchvision's keys, and maps that keep VGG-19's distances.

    A map's wide output A f + b lives in the span of A's columns, b and, to keep the mean over channels, the vector of
    ones. An orthonormal basis of that span turned so that all its columns have the same sum gives coordinates, a few
    more than f has, whose relative errors and relative Gram distances are those of the wide features.
    """
    student, state = copy.deepcopy(student).cpu(), {}
    for name in PATH:
        convolution = convolution_of(student.convolutions, name)
        assert convolution.bias is not None
        state[f"features.{LAYERS[name].position}.weight"] = convolution.weight
        state[f"features.{LAYERS[name].position}.bias"] = convolution.bias
    for name in NAMED:
        to_wide = convolution_of(student.maps, name)
        assert to_wide.bias is not None
        matrix, bias = to_wide.weight.detach()[:, :, 0, 0].double(), to_wide.bias.detach().double()
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


def read_styles(paths: Sequence[Path], size: int, device: torch.device) -> list[Tensor]:
    """The pictures, their longer side `size`; what cannot be read is named and passed over."""
    pictures = []
    for path in paths:
        try:
            pictures.append(resize(read_image(path), size)[None].to(device))
        except ImageError as error:
            print(error)
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vgg", default="torchvision", help="VGG-19's weights: torchvision or a path")
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--paintings", type=Path, nargs="+", required=True, help="folders of style pictures")
    parser.add_argument("--painters", type=Path, nargs="*", default=[], help="style models whose outputs join at once")
    parser.add_argument(
        "--start", help="the slim network to go on from: slim or a path (default: VGG-19's own kernels)"
    )
    parser.add_argument("--base", type=Path, default=Path("checkpoints/base/brush.safetensors"))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument(
        "--minutes", type=float, default=5, help="of distillation in each round; three times as long in the last"
    )
    parser.add_argument(
        "--painters-a-round", type=int, default=8, help="trained on the student after each round but the last"
    )
    parser.add_argument("--updates", type=int, default=120, help="of each of them")
    parser.add_argument("--steps", type=int, default=60, help="of the pictures optimised beside them")
    parser.add_argument("-o", "--output", type=Path, default=Path("checkpoints/loss/slim.safetensors"))
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = True
    device = pick_device()
    photographs, paintings = find_images([options.photographs]), find_images(options.paintings)
    teacher = VGGFeatures(NAMED, options.vgg)
    pictures = Pictures(crop_pool([*photographs, *paintings], POOL, 4, margin=0, device=str(device)))
    sample = pictures.photographs(48).cpu()
    student = go_on_from(options.start, teacher, sample) if options.start else start_from(teacher, sample)
    student.to(device).to(memory_format=torch.channels_last)
    save(student, options.output)
    pool = crop_pool(photographs, POOL, 2, margin=MARGIN, device=str(device))
    chosen = np.random.default_rng(0).permutation(len(paintings))[:96]
    styles = read_styles([paintings[each] for each in chosen], 384, device)
    adversaries = Adversaries(
        VGGFeatures(NAMED, str(options.output)).to(device), options.base, pool, styles, options.painters_a_round
    )
    for path in options.painters:
        network = load_style_model(path).network.to(device)
        batch = _as_floats(pool[torch.randint(len(pool), (16,), device=device)])
        with torch.no_grad():
            pictures.join(*(inside(each, AROUND) for each in (network(batch), batch)))
    teacher.to(device)
    print(f"{sum(p.numel() for p in student.convolutions.parameters())} parameters, {provenance(device)}")
    for turn in range(options.rounds):
        adversaries.learn(student, pictures, options.updates, options.steps)
        last = turn + 1 == options.rounds
        print(f"round {turn + 1}: {len(pictures.painted)} painted pictures", flush=True)
        distil(
            student,
            teacher,
            pictures,
            options.minutes * (3 if last else 1),
            3e-3 if turn == 0 and not options.start else 2e-3,
        )
        save(student, options.output)
    print(options.output)


if __name__ == "__main__":
    main()
