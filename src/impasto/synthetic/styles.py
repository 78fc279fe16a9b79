"""Style pictures made by code: thirteen looks, each a pure function of a seed.

A style is a function (rng, n) -> (n, n, 3) float picture in [0, 1]. Every length in it is a fraction of the side and
every random number is drawn independently of n, so that a small size is a preview of a large one (only bristles are
counted in pixels). Pictures are painted at twice their size and reduced: that is all the antialiasing they get.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]
from scipy.special import ndtr

from impasto.errors import UsageError
from impasto.system.choices import DEFAULT_SEED, SAMPLE_STYLE_SIZE

Array = NDArray[Any]
Rng = np.random.Generator
NOISE_SIDE = 768
STYLES: dict[str, Callable[[Rng, int], Array]] = {}


def style(paint: Callable[[Rng, int], Array]) -> Callable[[Rng, int], Array]:
    """Enter a style under its function's name; its docstring is what `impasto sample-style --list` says of it."""
    STYLES[paint.__name__] = paint
    return paint


# ---------------------------------------------------------------------------------- pigments and paper


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


# ------------------------------------------------------------------------------------------ the styles


@style
def oils(rng: Rng, n: int) -> Array:
    """thick oil strokes that swirl around lamps at a dusk of plum, teal and coral"""
    x, y = grid(n)
    suns = rng.uniform(0.08, 0.92, (9, 2))
    spin, reach = rng.choice([-1, 1], 9), rng.uniform(0.05, 0.13, 9)
    far = [np.hypot(x - sx, y - sy) for sx, sy in suns]
    stream = 0.5 * noise(rng, n, 3.2)
    glow = np.zeros((n, n))
    for s, r, d in zip(spin, reach, far, strict=True):
        stream = stream + 4 * s * r * np.exp(-d / r)
        glow = glow + np.exp(-((d / r) ** 1.3)) * (0.8 + 0.2 * np.cos(d * 130))
    dy, dx = np.gradient(blurred(stream, 0.01))
    angle = np.arctan2(-dx, dy)
    dusk, glow = (0.62 * noise(rng, n, 2.2, 3) + 0.07 * np.sin(stream * 90)).clip(0, 0.62), glow.clip(0, 1)
    tone = dusk * (1 - glow) + glow
    return oil(rng, n, angle, tone, "150a2e 33135c 0e4f66 1b8f86 7cc29a f0b63c f26a2e cf1f4f ff9f8a fff0d8")


def oil(rng: Rng, n: int, angle: Array, tone: Array, palette: str) -> Array:
    """Bristle strokes in three sizes, coarse ones first, over a dark ground; ridges of paint catch the light."""
    colour = Image.fromarray(np.uint8(ramp(tone * 0.7, palette) * 255))
    relief = Image.new("L", (n, n), 90)
    steps, hand = 16, rng.spawn(1)[0]
    brush, knife = ImageDraw.Draw(colour), ImageDraw.Draw(relief)
    for width, length, count in ((0.042, 0.20, 900), (0.027, 0.14, 1700), (0.016, 0.085, 2600)):
        starts = rng.uniform(-0.05, 1.02, (count, 2))
        paths = traced(angle, starts, length * rng.uniform(0.6, 1.3, count), steps)
        side = normals(paths)
        value = at(tone, paths[:, steps // 2]) + rng.normal(0, 0.055, count)
        paint = ramp(value, palette) + rng.normal(0, 0.025, (count, 3))
        bristles = max(4, int(width * n / 3.5))
        for path, across, hue in zip(paths, side, paint, strict=True):
            for o in np.linspace(-0.5, 0.5, bristles):
                keep = slice(int(hand.integers(0, 3)), steps - int(hand.integers(0, 5) * abs(2 * o)))
                line = path[keep] + across[keep] * o * width
                shade, lift = hand.normal(0, 0.04, 2)
                xy = [tuple(p) for p in line * n]
                brush.line(xy, tuple(int(v) for v in np.clip(hue + shade, 0, 1) * 255), int(width * n / bristles) + 2)
                knife.line(xy, int(np.clip(110 + 900 * lift + 120 * abs(o), 0, 255)), int(width * n / bristles) + 2)
    height = gaussian_filter(np.asarray(relief) / 255, n / 1400)
    return lit(np.asarray(colour) / 255, height * 0.004, 0.5)


def ranges(rng: Rng, n: int, count: int) -> tuple[Array, Array]:
    """Range upon range of hills down the picture: depth below the own crest and the hill's number, each (n, n)."""
    _, y = grid(n)
    crests = noise(rng, n, 1.9, 1.5)
    depth, hill = y + 0.03, np.zeros((n, n))
    for k in range(1, count):
        below = y - (k / count + 0.26 * (crests[k * n // count] - 0.5))
        depth, hill = np.where(below > 0, below, depth), np.where(below > 0, k, hill)
    return depth, hill


@style
def hatching(rng: Rng, n: int) -> Array:
    """patches of pen strokes in four inks that model range upon range of washed hills"""
    depth, hill = ranges(rng, n, 9)
    dark = step(depth.clip(0, 0.18) + 0.11 * noise(rng, n, 1.8, 3), 0.02, 0.34)
    hue = (hill * 0.375 + 0.16 * noise(rng, n, 2, 3)) % 1
    slope = (hill * 1.3) % 1.6 - 0.8 + 1.6 * (noise(rng, n, 2.6, 2) - 0.5)
    wash = ramp(hue, "f4dca2 f0b878 e58f65 f2d9b0 a9cfc6 6fa9b8 d6dcc0 f4dca2")
    paper = times(wash, 1 - 0.22 * dark * noise(rng, n, 1, 5))
    layers = [Image.new("L", (n, n)) for _ in range(4)]
    pens = [ImageDraw.Draw(layer) for layer in layers]
    for centre in rng.uniform(-0.03, 1.03, (7000, 2)):
        t, luck, wobble = at(dark, centre), rng.random(), rng.normal(0, 0.1, 2)
        if luck < 0.12 + 0.5 * t:
            ink = int((at(hue, centre) * 4 + 1.2 + 6 * wobble[0]) % 4)
            angle = at(slope, centre) + wobble[1] + rng.choice([0, 0, 1.1]) * (t > 0.35)
            patch(rng, pens[ink], n, centre, angle, gap=0.0068 - 0.002 * t, width=1.4 + 1.8 * t)
    worn = (0.75 + 0.5 * noise(rng, n, 0.4)).clip(0, 0.95) / 255
    for layer, colour in zip(layers, inks("16306b 9c2a1c 0f4a45 2b1430"), strict=True):
        paper = printed(paper, colour, np.asarray(layer) * worn)
    return paper


def patch(rng: Rng, pen: ImageDraw.ImageDraw, n: int, centre: Array, angle: float, gap: Any, width: Any) -> None:
    """Eight to thirteen bowed parallel strokes, each a little too long or too short."""
    along = np.array([np.cos(angle), np.sin(angle)])
    across = along[::-1] * (-1, 1)
    t, bow = np.linspace(-1, 1, 7)[:, None], rng.normal(0, 0.0035)
    count = int(rng.integers(8, 14))
    for k in range(count):
        reach = 0.027 * rng.uniform(0.75, 1.2)
        line = centre + t * reach * along + ((k - count / 2) * gap + bow * t * t + rng.normal(0, 0.0006)) * across
        thick = width * n / 1536 * rng.uniform(0.7, 1.3)
        # A line cannot be thinner than a pixel, so in a small picture it is paler instead.
        pen.line([tuple(p) for p in line * n], int(255 * min(1, thick)), max(1, round(thick)))


@style
def marbling(rng: Rng, n: int) -> Array:
    """Turkish paper: drops of colour pushed apart on water, then drawn with combs and a stylus"""
    x, y = grid(n)
    z = x + 1j * y + 0.003 * (noise(rng, n, 2, 4) + 1j * noise(rng, n, 2, 4))
    for _ in range(5):
        centre, reach = complex(*rng.uniform(0.1, 0.9, 2)), rng.uniform(0.04, 0.09)
        z = swirled(z, centre, reach, rng.choice([-1, 1]) * rng.uniform(3, 5))
    for tine, pitch, pull in ((1, 0.045, 0.035), (1j, 0.09, 0.11), (1, 0.18, 0.09)):
        z = combed(z, tine, pitch, pull)
    return times(dropped(rng, z.ravel(), 300).reshape(n, n, 3), 0.9 + 0.14 * noise(rng, n, 0.7, 20))


def swirled(z: Array, centre: complex, reach: float, turns: float) -> Array:
    """A stylus turned about a point of the complex plane: rotation that dies away with the distance."""
    return centre + (z - centre) * np.exp(1j * turns * np.exp(-np.abs(z - centre) / reach))


def combed(z: Array, tine: complex, pitch: float, pull: float) -> Array:
    """A comb drawn along 1 or 1j, its teeth a pitch apart and every second one drawn the other way."""
    wave = np.sin(np.pi * (np.imag(z) if tine == 1 else np.real(z)) / pitch)
    return z + tine * pull * wave * np.abs(wave) ** 0.5


def dropped(rng: Rng, z: Array, count: int) -> Array:
    """Colours (pixels, 3) at z. From the last drop back to the first, a point either lies in the drop or came from
    nearer its centre: a drop of radius r moves what is at d to sqrt(d^2 + r^2) (Lu, Jaffer et al. 2012)."""
    palette = inks("12233f 1f4e79 c8102e f4e3c1 e8a33d 0e7c6b f4e3c1 7fb7be 12233f d96c75 0a5c8a")
    shade = palette[rng.integers(0, len(palette), count)] + rng.normal(0, 0.025, (count, 3))
    colour, still = np.zeros((z.size, 3), np.float32), np.arange(z.size)
    z = z.astype(np.complex64)
    for drop in shade:
        centre = np.complex64(complex(*rng.uniform(-0.2, 1.2, 2)))
        area = np.float32(rng.choice([0.015, 0.035, 0.055, 0.08]) ** 2)
        q = z - centre
        d2 = q.real**2 + q.imag**2
        out = d2 > area
        colour[still[~out]] = drop
        still = still[out]
        z = centre + q[out] * np.sqrt(1 - area / d2[out])
    ground = np.floor(np.real(z) * 6) + 4 * np.floor(np.imag(z) * 6)
    colour[still] = palette[ground.astype(int) % len(palette)]
    return colour


@style
def watercolour(rng: Rng, n: int) -> Array:
    """wet washes that run into each other and dry with dark edges, blooms and granulation"""
    tooth, edges = noise(rng, n, 0.8, 90), noise(rng, n, 1.5, 10)
    palette = "1f4fa8 2a9d8f 7fc8a9 f6d04d f2862d e0457b 8a3fa0 274690"
    paint = ramp(noise(rng, n, 2.6, 1.5), palette) * 0.35 + inks("fdf8ec") * 0.65
    for k in range(12):
        shape = 0.93 * noise(rng, n, 3.0, 2 + k / 2) + 0.07 * edges
        level = rng.uniform(0.55, 0.75)
        inside = step(shape, level, level + 0.006)
        rim = inside * np.exp((level - shape).clip(None, 0) / 0.012)
        bloom = step(np.abs(noise(rng, n, 2.0, 4) - 0.5), 0.0, 0.12)
        load = inside * (0.06 + 0.15 * bloom + 0.10 * (tooth - 0.5)) + 0.22 * rim
        pigment = ramp(0.5 * noise(rng, n, 2.6, 2) + rng.uniform(0, 0.5), palette)
        paint = paint * pigment.clip(0.08) ** (load * rng.uniform(0.7, 1.3)).clip(0)[..., None]
    return lit(paint, tooth * 0.0004, 0.5)


@style
def tesserae(rng: Rng, n: int) -> Array:
    """fans of glass and gold mosaic laid ring by ring in dark mortar"""
    x, y = grid(n)
    x, y = x + 0.03 * (noise(rng, n, 3, 2) - 0.5), y + 0.03 * (noise(rng, n, 3, 2) - 0.5)
    radius, rings = 0.17, 9
    far, turn, fan = np.zeros((3, n, n))
    for row in range(-1, int(2 / radius) + 4):
        offset = radius * (row % 2)
        column = np.round((x - offset) / (2 * radius))
        dx, dy = x - offset - 2 * radius * column, y - row * radius / 2
        d = np.hypot(dx, dy) / radius
        layers = (d, far), (np.arctan2(dy, dx), turn), (row * 31 + column * 17, fan)
        far, turn, fan = (np.where(d < 1, front, behind) for front, behind in layers)
    ring = np.floor(far * rings)
    place = (turn / (2 * np.pi) + 0.5) * np.round(2 * np.pi * (ring + 0.5))
    tile = ((fan * 7919 + ring * 131 + np.floor(place) * 17) % 4093).astype(int)
    chance = rng.random((4, 4093))[:, tile]
    u, v = far * rings - ring - 0.5, place - np.floor(place) - 0.5
    hue = (fan * 0.37 + 0.06 * ring + 0.08 * chance[0]) % 1
    glass = ramp(hue, "0d2f6e 1f6fb2 39b5b0 1d7a5f 7fb069 f0e2b6 e07a3f b3202c 6a1b4d 2b2a72 0d2f6e")
    gold = ramp(chance[1], "8a5a14 d9a531 f7dd83")
    gilt = (ring == rings - 1) | (ring % 4 == 1) & (chance[2] < 0.5)
    tilt = u * (chance[0] - 0.5) + v * (chance[1] - 0.5) - 0.5 * (u + v)
    shine = 0.75 + 0.4 * chance[3] + 0.5 * tilt + 0.18 * (noise(rng, n, 1, 40) - 0.5)
    ragged = 0.05 * (noise(rng, n, 1, 60) - 0.5)
    laid = step(0.46 + ragged - np.maximum(np.abs(u), np.abs(v)), 0, 0.07)
    mortar = times(inks("2a211c"), 0.7 + 0.6 * noise(rng, n, 0.6))
    return over(mortar, times(np.where(gilt[..., None], gold, glass), shine), laid)


@style
def stained_glass(rng: Rng, n: int) -> Array:
    """leaded windows: rosettes of streaky, hammered glass with painted veins"""
    x, y = grid(n)
    x, y = x + 0.02 * (noise(rng, n, 3, 2) - 0.5), y + 0.02 * (noise(rng, n, 3, 2) - 0.5)
    hearts, petals = np.array([[0.27, 0.3], [0.74, 0.66], [0.16, 0.85], [0.83, 0.14]]), (12, 10, 8, 8)
    seeds = rosettes(scattered(rng, 190), hearts, petals, (0.25, 0.22, 0.13, 0.12))
    cell, d, edge = cells_of(seeds, x, y)
    ringed = np.min(np.linalg.norm(seeds[:, None] - hearts, axis=-1), axis=1) * 5.5
    hue = (ringed + rng.normal(0, 0.07, len(seeds)))[cell] + 0.12 * (noise(rng, n, 2, 4) - 0.5)
    glass = ramp(hue % 1, "ffd75e f28c28 d7263d 7b1e6b 2d3a9e 1273c4 13a89e 3fa34d c7d64f ffd75e")
    streaks = noise(rng, n, 1.5, 5) * 0.5 + 0.5 * (0.5 + 0.5 * np.sin(40 * noise(rng, n, 2.2, 2)))
    glow = 0.62 + 0.55 * step(edge, 0, 0.03) + 0.4 * (streaks - 0.5)
    veins = step(np.abs((d * 50 + 2.4 * noise(rng, n, 2, 5)) % 1 - 0.5), 0.03, 0.13) * 0.45 + 0.55
    glass = times(glass, glow * np.where(cell % 3 == 0, 1, veins))
    came = times(inks("1a1c22"), 1 + 1.6 * np.exp(-((edge - 0.0012) ** 2) / 8e-7))
    return over(came, lit(glass, noise(rng, n, 1.3, 40) * 0.0016, 0.6), step(edge, 0.0032, 0.0042))


def rosettes(seeds: Array, hearts: Array, petals: Sequence[int], reaches: Sequence[float]) -> Array:
    """The scattered seeds with those near a heart replaced by rings of petals."""
    far = np.linalg.norm(seeds[:, None] - hearts, axis=-1)
    seeds = seeds[(far > reaches).all(1)]
    for heart, count, reach in zip(hearts, petals, reaches, strict=True):
        for k, r in enumerate((0.0, 0.34, 0.62, 0.92)):
            a = (np.arange(count if r else 1) + 0.5 * (k % 2)) * 2 * np.pi / count
            seeds = np.concatenate([seeds, heart + reach * r * np.stack([np.cos(a), np.sin(a)], -1)])
    return seeds


@style
def riso(rng: Rng, n: int) -> Array:
    """three spot colours in coarse screens, a little out of register: suns over folded hills"""
    x, y = grid(n)
    depth, hill = ranges(rng, n, 7)
    suns = [(rng.uniform(0, 1, 2), rng.uniform(0.05, 0.15)) for _ in range(9)]
    stripes = 0.5 + 0.5 * np.sin(2 * np.pi * (depth * 16 + 0.8 * noise(rng, n, 2.6, 2)))
    paper = np.ones((n, n, 3)) * inks("f7f1e1")
    for k, (ink, degrees) in enumerate(zip(inks("ffc400 ff3f7f 0a58b0"), (90, 72, 18), strict=True)):
        u, v = x + rng.normal(0, 0.0025), y + rng.normal(0, 0.0025)
        fills = [1 - 4.5 * depth, 4 * depth, 0.95 - 0.6 * stripes, 0.04 + 0 * depth, 0.75 * stripes]
        tone = np.choose((hill * 2 + k).astype(int) % 5, fills)
        for j, (centre, reach) in enumerate(suns):
            d = np.hypot(u - centre[0], v - centre[1]) / reach
            tone = np.where(d < 1, (1.1 - d, 0.98, 0.02 + d**3)[(j + k) % 3], tone)
        cover = screened(tone.clip(0.02, 0.98), u, v, np.deg2rad(degrees), 84)
        cover = cover * (1 - 0.4 * step(noise(rng, n, 0.5), 0.8, 1)) * (0.88 + 0.12 * noise(rng, n, 2, 3))
        paper = printed(paper, ink, cover)
    return paper


def screened(tone: Array, x: Array, y: Array, angle: float, lines: float) -> Array:
    """Halftone dots that cover about tone of the paper."""
    c, s = 2 * np.pi * lines * np.cos(angle), 2 * np.pi * lines * np.sin(angle)
    hills = ndtr(0.95 * (np.cos(c * x + s * y) + np.cos(c * y - s * x)))
    return step(tone - 1 + hills, -0.06, 0.06)


@style
def newsprint(rng: Rng, n: int) -> Array:
    """clouds in four process inks, each in a screen at its own angle, under inked contours on cheap paper"""
    x, y = grid(n)
    lines = rng.uniform(60, 110)
    cloud = step(noise(rng, n, 2.3, 2), 0.42, 0.8)
    contour = step(0.05 - np.abs((noise(rng, n, 2.8, 1.5) * 7) % 1 - 0.5), 0, 0.02)
    paper = times(inks("f2e9d2"), 0.93 + 0.1 * noise(rng, n, 1.0, 8))
    for ink, degrees in zip(inks("18a0d8 e0287c ffe000"), (15, 75, 0), strict=True):
        tone = 0.75 * noise(rng, n, 2.4, 1.5) * (1 - 0.7 * cloud)
        paper = printed(paper, ink, 0.95 * screened(tone, x, y, np.deg2rad(degrees), lines))
    shade = (0.6 * noise(rng, n, 2.0, 3) - 0.25).clip(0)
    black = np.maximum(screened(shade, x, y, np.deg2rad(45), lines), contour)
    return printed(paper, inks("1d1a20")[0], 0.92 * black)


@style
def microscopy(rng: Rng, n: int) -> Array:
    """stained living cells: amber walls, violet nuclei, mint filaments and rose granules"""
    x, y = grid(n)
    x, y = x + 0.05 * (noise(rng, n, 2.4, 3) - 0.5), y + 0.05 * (noise(rng, n, 2.4, 3) - 0.5)
    seeds = scattered(rng, 150, 3)
    cell, _, edge = cells_of(seeds, x, y)
    a, size, tint = (rng.uniform(*span, len(seeds))[cell] for span in ((0, np.pi), (0.014, 0.024), (0, 1)))
    dx, dy = x - seeds[cell, 0], y - seeds[cell, 1]
    along, across = dx * np.cos(a) + dy * np.sin(a), dy * np.cos(a) - dx * np.sin(a)
    r = np.hypot(along / 1.35, across) / size
    grainy = noise(rng, n, 1.2, 30)
    nucleus = step(1.1 - r + 0.2 * (grainy - 0.5), 0, 0.15)
    nucleus = nucleus * (0.45 + 0.4 * grainy + 0.5 * np.exp(-(((r - 1) / 0.12) ** 2)))
    threads = np.abs(np.sin(across * 420 + 7 * noise(rng, n, 2, 4))) ** 5 * step(r, 0.9, 1.3)
    threads = threads * (0.17 + 0.68 * noise(rng, n, 1.2, 12))
    web = np.exp(-(((noise(rng, n, 1.7, 14) - 0.5) / 0.05) ** 2)) * step(3.0 - r, 0, 1.2) * 0.9
    dots = np.exp(-((cells_of(rng.uniform(0, 1, (5000, 2)), x, y)[1] / 0.0024) ** 2)) * step(r, 0.9, 1.4)
    walls = np.exp(-((edge / 0.0034) ** 2)) + 0.35 * np.exp(-edge / 0.012)
    dark = np.ones((n, n, 3)) - ramp(0.6 * tint + 0.4 * noise(rng, n, 2, 2), "0b1038 10214f 3a1050 0c3a4a 5a1546")
    stains = zip((walls, nucleus, threads, web, dots), inks("ffb13d 7f6bff 2fe0a8 ff5fa2 ffe3c2"), strict=True)
    for amount, colour in stains:
        dark = dark * (1 - amount.clip(0, 1)[..., None] * colour)
    return 1 - dark


@style
def woodcut(rng: Rng, n: int) -> Array:
    """a black key block carved with tapering gouges over vermilion, ochre and sea-green blocks"""
    depth, hill = ranges(rng, n, 6)
    lean = (hill * 0.9) % 1.4 - 0.7
    angle = lean + 2.4 * (noise(rng, n, 2.6, 2) - 0.5)
    light = (1.05 - 5.5 * depth + 0.8 * (noise(rng, n, 2, 3) - 0.5)).clip(0.05, 1)
    key = Image.new("L", (n, n), 255)
    gouge = ImageDraw.Draw(key)
    rows = np.stack(np.meshgrid(np.arange(-3, 64), np.arange(-3, 108)), -1).reshape(-1, 2)
    starts = (rows + rng.uniform(-0.5, 0.5, rows.shape)) / (62, 106)
    reach = rng.uniform(0.02, 0.055, len(starts))
    paths = traced(angle, starts, reach, 11)
    wide = 0.0009 + 0.0048 * at(light, paths[:, 5]) * rng.uniform(0.6, 1.2, len(starts))
    bulge = normals(paths) * (wide[:, None] * np.sin(np.linspace(0, np.pi, 11)) ** 0.7)[..., None]
    for left, right in zip(paths + bulge, paths - bulge, strict=True):
        gouge.polygon([tuple(p) for p in np.concatenate([left, right[::-1]]) * n], 0)
    grain = noise(rng, n, 1.2, 8)
    wood = resized(noise(rng, n, 1.0, 12)[:: max(1, n // 48)], n)
    hue = (hill * 0.29 + 0.9 * depth + 0.1 * wood) % 1
    blocks = ramp(hue, "f3e2bd e9b44c e4572e c1272d f0d9b0 3f8f86 1f5f6b 9cc4b2 f3e2bd")
    black = np.asarray(key) / 255 * (0.9 + 0.1 * step(wood + 0.3 * grain, 0.3, 0.7))
    return over(times(blocks, 0.88 + 0.2 * grain), times(inks("17130f"), 0.7 + 0.8 * grain), black)


@style
def pointillism(rng: Rng, n: int) -> Array:
    """touches of pure colour, warm beside cool, that mix in the eye to sunlit headlands"""
    depth, hill = ranges(rng, n, 6)
    shade = step(depth.clip(0, 0.2) + 0.2 * (noise(rng, n, 2.0, 3) - 0.45), -0.04, 0.3)
    t = np.linspace(0, 1, 256)
    warm, cool = "fff3b0 ffd23f ff9f1c e4432e 7b1fa2", "e3f6ff 8fd3f4 2f8fd8 2b3fb8 24115c"
    leaf, rose = "fbffc0 bfe04f 4fb34a 11806a 123f6e", "ffe9dc ffa69e f2557a b51e6b 43107a"
    tubes = np.stack([ramp(t, colours) for colours in (warm, cool, leaf, rose)])
    picture = Image.fromarray(np.uint8(tubes[hill.astype(int) % 4, (shade * 255).astype(int)] * 170))
    brush = ImageDraw.Draw(picture)
    for radius, count in ((0.0125, 7000), (0.0095, 9000), (0.0068, 9000)):
        centres = rng.uniform(-0.01, 1.01, (count, 2))
        tube = (at(hill, centres) + rng.choice([0, 0, 0, 0, 0, 1, 2, 3], count)).astype(int) % 4
        value = (at(shade, centres) + rng.normal(0, 0.13, count)).clip(0, 1)
        size = radius * n * rng.uniform(0.65, 1.1, (count, 1)) * (1, 0.88)
        boxes = np.concatenate([centres * n - size, centres * n + size], -1)
        for box, colour in zip(boxes, (tubes[tube, (value * 255).astype(int)] * 255).astype(np.uint8), strict=True):
            brush.ellipse(tuple(box), tuple(map(int, colour)))
    flat = np.asarray(picture) / 255
    return lit(flat, gaussian_filter(flat.sum(-1), n / 900) * 0.0009, 0.6)


@style
def deco(rng: Rng, n: int) -> Array:
    """inlaid tiles of fans and sunbursts in lacquer, jade, coral and brushed gold"""
    x, y = grid(n)
    count = 5
    split = rng.random((count, count))[(y * count).astype(int), (x * count).astype(int)] < 0.45
    side = np.where(split, 2 * count, count)
    column, row = np.floor(x * side), np.floor(y * side)
    u, v = x * side - column, y * side - row
    dice = rng.random((3, 1009))[:, ((column * 37 + row * 101 + split * 499) % 1009).astype(int)]
    u = np.where(dice[0] < 0.5, u, 1 - u)
    other = np.hypot(u, v) > np.hypot(1 - u, 1 - v)
    u, v = np.where(other, 1 - u, u), np.where(other, 1 - v, v)
    r, a = np.hypot(u, v) * 7, np.arctan2(v, u) / (np.pi / 2)
    ring, rays = np.floor(r), np.floor(a * 12)
    hue = (np.floor(dice[1] * 4) * 0.25 + ring * 0.125 * ((ring + rays) % 2) + 0.5 * other) % 1
    lacquer = ramp(hue, "0e5c50 f1dfc0 12223c e8654a 1d5f8a f4c98a 6b1f3f 8fc1a9 0e5c50")
    lacquer = times(lacquer, 0.85 + 0.25 * noise(rng, n, 1.2, 20))
    ray_line = np.abs(a * 12 - np.round(a * 12)) * r * np.pi / 24
    line = np.minimum(np.abs(r - np.round(r)), np.where((ring % 2 == 1) & (ring > 0), ray_line, 1))
    line = np.minimum(line, 7 * np.minimum(np.minimum(u, v), 1 - np.maximum(u, v)))
    inlay = step(0.085 - line, 0, 0.03)
    gold = ramp(0.6 * noise(rng, n, 1.4, 6) + 0.4 * noise(rng, n, 0.5), "7a4c12 c8922b f4d679 fff3c4")
    return lit(over(lacquer, gold, inlay), blurred(inlay, 0.0007) * 0.0022, 0.7)


@style
def agate(rng: Rng, n: int) -> Array:
    """sliced geodes: fine mineral bands around crystal hearts, seamed with gold"""
    x, y = grid(n)
    x, y = x + 0.22 * (noise(rng, n, 2.8, 1.5) - 0.5), y + 0.22 * (noise(rng, n, 2.8, 1.5) - 0.5)
    seeds = scattered(rng, 22, 3, margin=0.2)
    stone, _, edge = cells_of(seeds, x, y)
    band = edge + 0.012 * noise(rng, n, 2.0, 6) + 0.3 * rng.random(len(seeds))[stone]
    layers = np.interp(np.arange(4096) / 4096, np.sort(rng.random(150)), rng.random(150))
    layers = 0.6 * layers + 0.4 * np.interp(np.arange(4096) / 4096, np.sort(rng.random(600)), rng.random(600))
    value = layers[(band * 4.6 * 4096).astype(int) % 4096]
    hue = (0.8 * value + rng.random(len(seeds))[stone]) % 1
    bands = ramp(hue, "0f2a4a 1f6f8b 8fd0c5 f6efdc e9a15b b5482c 5b1a3a d87a8a f9e6d0 3c6e71 0f2a4a")
    bands = times(bands, 0.86 + 0.2 * noise(rng, n, 0.9, 20))
    facet, far, rim = cells_of(scattered(rng, 4200, 1), *grid(n))
    crystal = ramp(rng.random(4200)[facet], "4a2a7f 7d52b8 b79ae0 efe4ff 8cc7e0")
    crystal = times(crystal, 0.62 + 0.35 * step(rim, 0, 0.004) + 12 * far * (rng.random(4200)[facet] - 0.5))
    heart = step(edge + 0.02 * noise(rng, n, 1.8, 6), 0.088, 0.092)
    seam = step(0.0045 * (0.3 + noise(rng, n, 1.8, 5)) - edge, 0, 0.0012)
    gold = ramp(noise(rng, n, 1.2, 12), "8a5a14 e0ad3c fff0b0")
    return over(over(bands, crystal, heart), gold, seam)


# ------------------------------------------------------------------------------------------- the press


def make_style(name: str, size: int = SAMPLE_STYLE_SIZE, seed: int = DEFAULT_SEED) -> Image.Image:
    """Return the style picture of that name, size x size; the same seed gives the same picture.

    Raises:
        UsageError: there is no style of that name.
    """
    check_names([name])
    picture = STYLES[name](np.random.default_rng([seed, *name.encode()]), 2 * size)
    return Image.fromarray(np.uint8(np.clip(picture, 0, 1) * 255 + 0.5)).resize((size, size), Image.Resampling.LANCZOS)


def check_names(names: Sequence[str]) -> None:
    """Raises UsageError if one of the names is none of a style."""
    if unknown := sorted(set(names) - set(STYLES)):
        raise UsageError(f"no style named {', '.join(unknown)}; there are: {', '.join(STYLES)}")
