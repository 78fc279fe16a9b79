"""Styles laid stroke by stroke: oil, pen, gouge and dabs of paint.

A style is a function (rng, n) -> (n, n, 3) float picture in [0, 1]; its docstring is what `impasto sample-style --list`
says of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from impasto.synthetic.pigments import (
    Array,
    Rng,
    at,
    blurred,
    grid,
    inks,
    lit,
    noise,
    normals,
    over,
    printed,
    ramp,
    ranges,
    resized,
    step,
    times,
    traced,
)


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
