"""What style pictures are painted with: noise, colours, opaque and transparent paint, relief, paths, cells and hills.

Fields and pictures are arrays (n, n) and (n, n, 3). Every length is a fraction of the side, and every random number is
drawn independently of n, so that a small size is a preview of a large one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]
from scipy.special import ndtr

Array = NDArray[Any]
Rng = np.random.Generator
NOISE_SIDE = 768


def grid(n: int) -> tuple[Array, Array]:
    """x and y of the pixel centres, each (n, n) in (0, 1)."""
    y, x = (np.mgrid[:n, :n].astype(np.float32) + 0.5) / n
    return x, y


def noise(rng: Rng, n: int, slope: float = 1.6, lowest: float = 1.0) -> Array:
    """Tileable noise (n, n), uniform in [0, 1]: Gaussian of amplitude 1 / max(f, lowest) ** slope at f cycles a side,
    passed through its own distribution function."""
    side = NOISE_SIDE
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) * side
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) / np.maximum(f, lowest) ** slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (side, side))
    return ndtr(resized(field / field.std(), n))


def resized(field: Array, n: int) -> Array:
    return np.asarray(Image.fromarray(field.astype(np.float32)).resize((n, n), Image.Resampling.BICUBIC))


def blurred(field: Array, radius: float) -> Array:
    """Gaussian blur whose radius is a fraction of the side."""
    return gaussian_filter(field, radius * field.shape[0], mode="wrap")


def step(t: Array, low: float, high: float) -> Array:
    """0 below low, 1 above high, a smooth cubic between."""
    t = np.clip((t - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def inks(colours: str) -> Array:
    """A row of colours: "123456 abcdef" -> (2, 3) in [0, 1]."""
    return np.array([[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in colours.split()]) / 255


def ramp(t: Array, colours: str) -> Array:
    """Colours along a palette: t in [0, 1] of any shape -> (..., 3)."""
    stops = inks(colours)
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(t, at, stops[:, c]) for c in range(3)], -1)


def times(colour: Array, amount: Array) -> Array:
    """A colour (..., 3) times one amount a pixel."""
    return colour * amount[..., None]


def over(below: Array, colour: Array, cover: Array) -> Array:
    """Opaque paint: cover 0 keeps what is below, 1 hides it."""
    return below + cover[..., None] * (colour - below)


def printed(paper: Array, ink: Array, cover: Array) -> Array:
    """Transparent ink: it takes from the paper what it does not reflect."""
    return paper * (1 - cover[..., None] * (1 - ink))


def lit(picture: Array, height: Array, strength: float) -> Array:
    """The picture as a relief lit from the upper left, with a gloss on the steepest slopes; height is in sides."""
    dy, dx = np.gradient(height * height.shape[0])
    light = (dx + dy) * strength
    return times(picture, 1 + light.clip(-0.6, 0.6)) + (light - 0.25).clip(0, 0.35)[..., None]


def at(field: Array, points: Array) -> Array:
    """The field's values at points (..., 2) of (x, y) in [0, 1], edges repeated."""
    n = field.shape[0]
    x, y = np.clip((points * n).astype(int), 0, n - 1).T
    return field[y.T, x.T]


def traced(angle: Array, starts: Array, length: Array, steps: int = 9) -> Array:
    """Paths of the given lengths along a field of angles, from starts (s, 2): (s, steps, 2)."""
    points = [starts]
    for _ in range(steps - 1):
        a = at(angle, points[-1])
        points.append(points[-1] + np.stack([np.cos(a), np.sin(a)], -1) * (length / (steps - 1))[:, None])
    return np.stack(points, 1)


def normals(paths: Array) -> Array:
    """Unit normals of paths (s, steps, 2)."""
    d = np.gradient(paths, axis=1)
    return np.stack([-d[..., 1], d[..., 0]], -1) / (np.linalg.norm(d, axis=-1, keepdims=True) + 1e-9)


def cells_of(seeds: Array, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Voronoi cells of seeds (s, 2) at x, y: index of the cell, distance to its seed, distance to its border."""
    d, i = cKDTree(seeds).query(np.stack([x, y], -1), k=2)
    apart = np.linalg.norm(seeds[i[..., 0]] - seeds[i[..., 1]], axis=-1)
    return i[..., 0], d[..., 0], (d[..., 1] ** 2 - d[..., 0] ** 2) / (2 * apart + 1e-9)


def scattered(rng: Rng, count: int, rounds: int = 8, margin: float = 0.08) -> Array:
    """Points (count, 2) scattered evenly over a little more than the unit square: random, then relaxed (Lloyd)."""
    points = rng.uniform(-margin, 1 + margin, (count, 2))
    dust = rng.uniform(-margin, 1 + margin, (count * 40, 2))
    for _ in range(rounds):
        owner = cKDTree(points).query(dust)[1]
        size = np.maximum(np.bincount(owner, minlength=count), 1)[:, None]
        points = np.stack([np.bincount(owner, dust[:, k], count) for k in (0, 1)], -1) / size
    return points


def ranges(rng: Rng, n: int, count: int) -> tuple[Array, Array]:
    """Range upon range of hills down the picture: depth below the own crest and the hill's number, each (n, n)."""
    _, y = grid(n)
    crests = noise(rng, n, 1.9, 1.5)
    depth, hill = y + 0.03, np.zeros((n, n))
    for k in range(1, count):
        below = y - (k / count + 0.26 * (crests[k * n // count] - 0.5))
        depth, hill = np.where(below > 0, below, depth), np.where(below > 0, k, hill)
    return depth, hill
