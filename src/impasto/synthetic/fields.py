"""Styles computed for every pixel at once: dyes, washes, mosaics, screens, cells and stones.

A style is a function (rng, n) -> (n, n, 3) float picture in [0, 1]; its docstring is what `impasto sample-style --list`
says of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from impasto.synthetic.pigments import (
    Array,
    Rng,
    blurred,
    cells_of,
    grid,
    inks,
    lit,
    noise,
    over,
    printed,
    ramp,
    ranges,
    scattered,
    step,
    times,
)


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
