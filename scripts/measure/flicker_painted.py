"""How much films flicker that other programs painted, by the ruler of flicker.py.

    python scripts/measure/flicker_painted.py CLIP... --painted NAME=DIR...

Each DIR holds the painted clips, called as the clips are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import _head
from pictures import named_folder

from impasto.inference.video.flicker import flickers
from impasto.inference.video.frames import read_frames


def row(clip: Path, films: dict[str, Path]) -> _head.Row:
    """Return the flicker of each film of a clip."""
    readers = [read_frames(folder / clip.name) for folder in films.values()]
    frames = zip(read_frames(clip), *readers, strict=False)
    results = flickers((photograph, paintings) for photograph, *paintings in frames)
    made: _head.Row = {"clip": clip.stem, "frames": results[0].frames}
    return made | {name: _head.rounded(each.flicker, 3) for name, each in zip(films, results, strict=True)}


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--painted", type=named_folder, nargs="+", required=True, metavar="NAME=DIR")
    options = parser.parse_args()
    rows: list[_head.Row] = []
    for clip in options.clips:
        rows.append(row(clip, dict(options.painted)))
        print(rows[-1], flush=True)
    _head.save(options.results, "flicker_painted", "Flicker of films that other programs painted, levels of 255", rows)


if __name__ == "__main__":
    sys.exit(main())
