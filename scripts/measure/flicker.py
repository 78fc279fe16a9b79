"""How much painted clips flicker, plain and held still, and how far the measure itself is off.

    python scripts/measure/flicker.py CLIP... [-s NAME|NAME=FILE...] [--frames 40] [--size 640] [--sintel DIR]
        [--judge DIR --styles DIR] [--strips DIR]

A CLIP is a film, or a folder of its frames. Each style is painted plain and with `--stabilize`, frame by frame in turn.
Sharpness is the gradient energy of the held paintings over that of the plain ones, in the second half of the frames.
JUDGE and STYLES are as for `pictures.py`; every tenth frame is judged. SINTEL has a folder for each scene, with frames
2 and 3, the true flow between them, and masks of what gets covered or is unknown: there DIS is held against the truth.
STRIPS receives eight successive frames of each clip and style: the photographs, plain, held still.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import _head
import numpy as np
from pictures import Judge, load_judge, mean
from tqdm import tqdm

from impasto.any_style.find import find_painter
from impasto.images.finding import find_images
from impasto.images.reading import read_levels
from impasto.images.writing import write_image
from impasto.inference.stylizer import Stylizer
from impasto.inference.video.flicker import flickers
from impasto.inference.video.flow import Motion, is_inside, motion_between, read_flow
from impasto.inference.video.frames import read_frames
from impasto.inference.video.stabilize import Stabilizer

Paint = Callable[[np.ndarray], np.ndarray]
Frames = Sequence[np.ndarray]
JUDGED = 10  # every so many frames
STRIP = 8  # frames of a strip


def painted(photographs: Frames, painter: Paint) -> tuple[Frames, Frames, _head.Row]:
    """Paint frames plain and held still, in turn; return both, and their rates."""
    stabilizer = Stabilizer()
    plain: list[np.ndarray] = []
    held: list[np.ndarray] = []
    seconds = [0.0, 0.0]
    painter(photographs[0])  # warm
    for photograph in tqdm(photographs, "painting", unit="frame"):
        started = time.perf_counter()
        plain.append(painter(photograph))
        between = time.perf_counter()
        stabilizer.follow(photograph)
        held.append(stabilizer.settle(painter(photograph)))
        seconds = [seconds[0] + between - started, seconds[1] + time.perf_counter() - between]
    rates = [_head.rounded(len(photographs) / each) for each in seconds]
    share = stabilizer.to_dict()["held"]
    return plain, held, {"plain_frames_per_s": rates[0], "held_frames_per_s": rates[1], "held_share": share}


def measured(photographs: Frames, motions: Sequence[Motion], plain: Frames, held: Frames) -> _head.Row:
    rows = ((each[0], each[1:]) for each in zip(photographs, plain, held, strict=True))
    of_plain, of_held = flickers(rows, motions)
    half = len(plain) // 2
    sharpness = sum(map(gradient_energy, held[half:])) / sum(map(gradient_energy, plain[half:]))
    figures = {
        "photographs": of_plain.photograph,
        "plain": of_plain.flicker,
        "held": of_held.flicker,
        "held_to_plain": of_held.flicker / of_plain.flicker if of_plain.flicker else 0.0,
        "sharpness": sharpness,
    }
    return {name: _head.rounded(value, 3) for name, value in figures.items()}


def gradient_energy(picture: np.ndarray) -> float:
    grey = picture.mean(axis=-1)
    return float(np.square(np.diff(grey, axis=0)).sum() + np.square(np.diff(grey, axis=1)).sum())


def judged(judge: Judge, style: Path, photographs: Frames, plain: Frames, held: Frames) -> _head.Row:
    """Return the judge's figures, means over every tenth frame."""
    found: list[list[dict[str, float]]] = [[], []]
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name, f"{word}.png") for word in ("photograph", "plain", "held")]
        for pictures in itertools.islice(zip(photographs, plain, held, strict=True), JUDGED - 1, None, JUDGED):
            for path, picture in zip(paths, pictures, strict=True):
                write_image(path, picture)
            for figures, each in zip(found, judge(style, paths[0], paths[1:]), strict=True):
                figures.append(each)
    means = {word: mean(figures) for word, figures in zip(("plain", "held"), found, strict=True)}
    return {
        f"{word}_{key}": _head.rounded(means[word][name], 3)
        for key, name in (("style", "deep"), ("structure", "structure"))
        for word in means
    }


def clips(options: argparse.Namespace, painters: dict[str, Stylizer]) -> Iterator[_head.Row]:
    judge = load_judge(options.judge) if options.judge else None
    for clip in options.clips:
        photographs = list(itertools.islice(read_frames(clip, options.size), options.frames))
        motions = [motion_between(*pair) for pair in itertools.pairwise(photographs)]
        for name, painter in painters.items():
            plain, held, rates = painted(photographs, painter)
            row: _head.Row = {"clip": clip.stem, "style": name, **measured(photographs, motions, plain, held), **rates}
            if judge:
                picture = next(path for path in find_images([options.styles]) if path.stem == options.style[name].stem)
                row |= judged(judge, picture, photographs, plain, held)
            if options.strips:
                write_image(options.strips / f"{clip.stem}.{name}.png", strip([photographs, plain, held]))
            print(row, flush=True)
            yield row


def strip(rows: Sequence[Frames]) -> np.ndarray:
    """Return successive frames beside each other, from the middle of the clip; a row for each film."""
    start = max(0, len(rows[0]) // 2 - STRIP // 2)
    return np.concatenate([np.concatenate(list(row[start : start + STRIP]), axis=1) for row in rows])


def sintel(folder: Path, painters: dict[str, Stylizer]) -> Iterator[_head.Row]:
    """How far DIS is from the true flow, and what that makes of the flicker."""
    for scene in sorted(path for path in folder.iterdir() if path.is_dir()):
        photographs = [read_levels(scene / f"frame_{number:04}.png") for number in (1, 2, 3)]
        truth = read_flow(scene / "gt_frame_0002.flo")
        masks = [read_levels(scene / f"gt_{word}_frame_0002.png")[..., 0] > 0 for word in ("occlusions", "invalid")]
        covered, unknown = masks
        true = Motion(truth, is_inside(truth) & ~covered & ~unknown)
        found = motion_between(*photographs[1:])
        off = np.sqrt(np.square(found.flow - truth).sum(axis=-1))
        errors = {
            "end_point_error": float(off[~unknown].mean()),
            "not_covered": float(off[true.trusted].mean()),
            "trusted": float(off[found.trusted & ~unknown].mean()),
            "trusted_share": float(found.trusted.mean()),
            "covered_but_trusted": float((found.trusted & covered).sum() / max(1, covered.sum())),
        }
        for name, painter in painters.items():
            plain, held, _ = painted(photographs, painter)
            row: _head.Row = {"scene": scene.name, "style": name}
            row |= {key: _head.rounded(value, 3) for key, value in errors.items()}
            for word, motion in (("DIS", found), ("true", true)):
                figures = measured(photographs[1:], [motion], plain[1:], held[1:])
                row |= {f"{key}_by_{word}": figures[key] for key in ("photographs", "plain", "held")}
            print(row, flush=True)
            yield row


def named_style(text: str) -> tuple[str, Path]:
    name, _, given = text.partition("=")
    model = find_painter(given or name)
    return (name if given else model.stem), model


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("-s", "--style", type=named_style, nargs="+", metavar="NAME|NAME=FILE",
                        default=[named_style("starry_night"), named_style("wave")])  # fmt: skip
    parser.add_argument("--frames", type=int, default=40, help="of each clip (default: %(default)s)")
    parser.add_argument("--size", type=int, default=640, help="longer side in pixels (default: %(default)s)")
    parser.add_argument("--sintel", type=Path)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--styles", type=Path, help="the style pictures, for the judge")
    parser.add_argument("--strips", type=Path)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    if bool(options.judge) != bool(options.styles):
        parser.error("--judge and --styles go together")
    options.style = dict(options.style)
    painters = {name: Stylizer(model, options.device) for name, model in options.style.items()}
    print(_head.stamp())
    if options.sintel:
        title = "DIS against the true flow of Sintel: errors in pixels, and flicker in levels of 255 by either"
        _head.save(options.results, "flicker_sintel", title, list(sintel(options.sintel, painters)))
    title = f"Flicker in levels of 255, plain and held still, {options.frames} frames of {options.size} pixels"
    _head.save(options.results, "flicker", title, list(clips(options, painters)))


if __name__ == "__main__":
    sys.exit(main())
