"""Content pictures made by code, for those who have no photographs: occlusion, shading, texture, letters and horizons.

They share with photographs what a painter learns from: edges at every scale (dead leaves: Lee, Mumford and Huang 2001),
an amplitude that falls as 1/f (Field 1987) and colours that vary mostly in lightness (Ruderman et al. 1998).
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Rng = np.random.Generator

# Rows: lightness, yellow against blue, red against green; orthonormal.
OPPONENT = (np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3], [6], [2]])).astype(np.float32)


def procedural_image(seed: int, size: int) -> np.ndarray:
    """A picture (size, size, 3), uint8 RGB, that depends on nothing but seed and size; one in three is a collage."""
    rng = np.random.default_rng(seed)
    first, second = (list(KINDS.values())[k] for k in rng.integers(len(KINDS), size=2))
    picture = first(rng, size)
    if rng.random() < 1 / 3:
        cut = fractal(rng, size, 1.7) > rng.normal(0, 0.5)
        picture = np.where(cut[..., None], picture, second(rng, size))
    return developed(rng, picture)


def developed(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """The camera: exposure, contrast and gamma, a lens that blurs by half a pixel or more, the grain of a sensor."""
    light = np.linspace(-0.5, 0.5, 256) * rng.uniform(0.8, 1.25) + 0.5 + rng.normal(0, 0.05)
    curve = 255 * light.clip(0, 1) ** rng.uniform(0.75, 1.3)
    lens = ImageFilter.GaussianBlur(0.5 + rng.exponential(0.2))
    levels = Image.fromarray((picture * 255).clip(0, 255).astype(np.uint8))
    exposed = np.asarray(levels.point(curve.tolist() * 3).filter(lens))
    grain = rng.standard_normal((*picture.shape[:2], 1), np.float32) * rng.uniform(0, 4)
    return (exposed + grain + 0.5).clip(0, 255).astype(np.uint8)


def fractal(rng: Rng, size: int, slope: float = 1.0) -> np.ndarray:
    """Noise (size, size), float32 of mean 0 and deviation 1, of amplitude 1 / f ** slope; it wraps around."""
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)).astype(np.float32)
    f[0, 0] = np.inf
    white = np.fft.rfft2(rng.standard_normal((size, size), np.float32))
    field = np.fft.irfft2(white * f**-slope, (size, size)).astype(np.float32)
    return field / field.std()


def pigments(rng: Rng, count: int) -> np.ndarray:
    """Colours (count, 3) around [0, 1]: of any lightness, most of them muted and a little warm, a few vivid."""
    lightness = rng.uniform(0.1, 0.9, count) * np.sqrt(3)
    chroma = rng.normal((0.03, 0.02), (0.13, 0.07), (count, 2)) * rng.choice([0.5, 1, 3], (count, 1), p=[0.4, 0.4, 0.2])
    return (np.c_[lightness, chroma] @ OPPONENT).astype(np.float32)


def plane(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x as a row (1, size) and y as a column (size, 1), float32 from 0 to 1."""
    line = np.linspace(0, 1, size, dtype=np.float32)
    return line[None], line[:, None]


def column(*values: float) -> np.ndarray:
    """Values as float32 (len, 1): one for each row of colours."""
    return np.array(values, np.float32)[:, None]


def shaded(rng: Rng, ids: np.ndarray, count: int) -> np.ndarray:
    """Every region of ids (size, size) gets a colour, a gradient across it and its own amount of texture."""
    x, y = plane(len(ids))
    right, down = rng.normal(0, 0.6, (2, count)).astype(np.float32)
    rough = rng.exponential(0.07, count).astype(np.float32)
    light = 1 + right.take(ids) * (x - 0.5) + down.take(ids) * (y - 0.5) + rough.take(ids) * fractal(rng, len(ids), 0.7)
    return pigments(rng, count).take(ids, 0) * light[..., None]


# The kinds: (rng, size) -> (size, size, 3) float32, about [0, 1].


def clouds(rng: Rng, size: int) -> np.ndarray:
    """Fractal noise on three uncorrelated axes of colour, lightness the strongest."""
    slope, spread = rng.uniform(0.9, 1.4), (0.36, rng.uniform(0.04, 0.16), rng.uniform(0.02, 0.1))
    axes = np.stack([s * fractal(rng, size, slope) for s in spread], -1)
    return axes.astype(np.float32) @ OPPONENT + 0.5 * pigments(rng, 1) + 0.25


def leaves(rng: Rng, size: int) -> np.ndarray:
    """Dead leaves: discs, triangles and boxes that hide one another, radii of density r ** -3."""
    count = 600
    radii = size * rng.uniform(0.35**-2, 0.018**-2, count) ** -0.5
    centres, turns = rng.uniform(-0.05, 1.05, (count, 2)) * size, rng.uniform(0, 2 * np.pi, count)
    ids = Image.new("I", (size, size))
    draw = ImageDraw.Draw(ids)
    for k, sides in enumerate(rng.integers(2, 5, count).tolist()):
        x, y, r = *centres[k].tolist(), float(radii[k])
        if sides == 2:
            draw.ellipse((x - r, y - r, x + r, y + r), k)
        else:
            turn = turns[k] + np.arange(sides) * 2 * np.pi / sides
            draw.polygon(np.stack([x + r * np.cos(turn), y + r * np.sin(turn)], -1).ravel().tolist(), k)
    return shaded(rng, np.asarray(ids), count)


def fields(rng: Rng, size: int) -> np.ndarray:
    """Large smooth shapes bounded by contours of noise, each shaded from side to side, under one soft light."""
    levels = np.sort(rng.normal(0, 0.9, (3, 2)), axis=1)
    ids = np.zeros((size, size), int)
    for slope, edges in zip(rng.uniform(1.8, 3, 3), levels, strict=True):
        ids = 3 * ids + np.digitize(fractal(rng, size, slope), edges)
    return shaded(rng, ids, 27) * (1 + 0.15 * fractal(rng, size, 2.5))[..., None]


def letters(rng: Rng, size: int) -> np.ndarray:
    """Rows of made-up letters, a few pen strokes each, on a tilted sheet in uneven light; dark on pale or not."""
    ink = Image.new("L", (size, size))
    pen = ImageDraw.Draw(ink)
    high = max(4.0, size * rng.uniform(0.04, 0.14))
    width = round(high * rng.uniform(0.08, 0.2)) or 1
    for y in np.arange(-high / 2, size, 1.5 * high):
        for x in np.arange(-high / 2, size, 0.7 * high):
            corners = rng.integers(0, 3, (rng.integers(3, 5), 2)) * (0.23 * high, 0.45 * high) + (x, y)
            if rng.random() < 0.85:
                pen.line(corners.ravel().tolist(), 255, width)
    cover = np.asarray(ink.rotate(rng.normal(0, 10), Image.Resampling.BILINEAR), np.float32)[..., None] / 255
    pale, dark = 0.45 * pigments(rng, 2) + column(0.5, 0)
    sheet, colour = (pale, dark) if rng.random() < 0.7 else (dark, pale)
    return (sheet + cover * (colour - sheet)) * (1 + 0.12 * fractal(rng, size, 1.6))[..., None]


def spheres(rng: Rng, size: int) -> np.ndarray:
    """Balls with diffuse and specular light and veined skins, the nearer the larger, over dead leaves."""
    picture, texture = leaves(rng, size) * 0.7, fractal(rng, size, 1.2)
    x, y = plane(size)
    light = (rng.normal(0, 1, 3) * (1, 1, 0.3) + (0, 0, 1)).astype(np.float32)
    light /= np.linalg.norm(light)
    radii, veins = np.sort(rng.uniform(0.04, 0.22, 14)).tolist(), rng.exponential(0.12, 14).tolist()
    for r, vein, colour in zip(radii, veins, pigments(rng, 14), strict=True):
        cx, cy = rng.random(2).tolist()
        box = tuple(slice(int(max(0, c - r) * size), int((c + r) * size) + 1) for c in (cy, cx))
        dx, dy = (x[:, box[1]] - cx) / r, (y[box[0]] - cy) / r
        dz = np.sqrt((1 - dx**2 - dy**2).clip(0))
        lambert = (dx * light[0] + dy * light[1] + dz * light[2]).clip(0)
        skin = 0.25 + lambert * (1 + vein * texture[box])
        ball = colour * skin[..., None] + 0.6 * (lambert**30)[..., None]
        picture[box] = np.where((dz > 0)[..., None], ball, picture[box])
    return picture


def horizon(rng: Rng, size: int) -> np.ndarray:
    """A landscape: a sky with clouds, ridges that fade with the distance, ground whose texture shrinks towards them."""
    _, y = plane(size)
    level, texture = rng.uniform(0.3, 0.65), fractal(rng, size, 0.9)
    sky, haze, ground = pigments(rng, 3) * 0.8 + column(0.15, 0.3, 0.1)
    near = (y / level).clip(0, 1)[..., None]
    picture = sky + near * (haze - sky) + (0.25 * fractal(rng, size, 1.5).clip(0))[..., None]
    crests = 0.06 * fractal(rng, size, 1.8)
    for k, colour in enumerate(pigments(rng, 4)):
        crest = level + 0.05 * k + crests[k * size // 4]
        hill = colour + (haze - colour) * (0.75 - 0.2 * k) + (0.05 * k * texture)[..., None]
        picture = np.where((y > crest)[..., None], hill, picture)
    far = 0.1 / (y - level + 0.02).clip(0.05)
    rows, across = (far * size).astype(int) % size, (far * np.arange(-size, size, 2)).astype(int) % size
    meadow = ground * (0.8 + 0.3 * texture[rows, across] + 0.3 * y)[..., None]
    return np.where((y > level + 0.15 + 0.01 * texture[0])[..., None], meadow, picture)


KINDS: dict[str, Callable[[Rng, int], np.ndarray]] = {
    kind.__name__: kind for kind in (clouds, leaves, fields, letters, spheres, horizon)
}
