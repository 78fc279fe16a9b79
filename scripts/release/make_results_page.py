"""Write docs/results.md: every table that the scripts in scripts/measure saved, from results/*.json.

python scripts/release/make_results_page.py [--results DIR] [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from impasto.system.files import written_whole

ROOT = Path(__file__).resolve().parents[2]
HEAD = """# Results

Written by `python scripts/release/make_results_page.py` from the files in `results/`, which the scripts in \
`scripts/measure/` saved: one JSON file
for each table, and the same rows as CSV beside it. Absolute times depend on what else the machine did; \
ratios were taken in turn.
"""
EARLIER = """# Earlier figures

These tables are older than the files in `results/`: the scripts printed them, and they were copied by hand \
into `results/earlier/`, rounded.
A table disappears from here when its script is run again.
"""
NEEDED = ("name", "title", "command", "date", "machine", "versions", "rows")


def page(folder: Path) -> str:
    """Return the page of all results in `folder`, in the order of their files' names: terms, tables, earlier tables."""
    notes = [path.read_text(encoding="utf-8") for path in folder.glob("notes.md")]
    tables = [section(read(path)) for path in sorted(folder.glob("*.json"))]
    earlier = [section(result) for result in earlier_results(folder)]
    return "\n".join([HEAD, *notes, *tables, *([EARLIER, *earlier] if earlier else [])])


def earlier_results(folder: Path) -> list[dict[str, Any]]:
    """Return the tables in `folder`/earlier that no table in `folder` replaces."""
    found = [read(path) for path in sorted((folder / "earlier").glob("*.json"))]
    return [result for result in found if not (folder / f"{result.get('until', result['name'])}.json").exists()]


def read(path: Path) -> dict[str, Any]:
    """Return what a measuring script saved at `path`.

    Raises:
        ValueError: it is something else.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in NEEDED if key not in result]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not what a script in scripts/measure saves; measure again") from error
    if missing:
        raise ValueError(f"{path}: has no {missing[0]}; measure again")
    return result


def section(result: dict[str, Any]) -> str:
    machine = [f"{key} {value}" for key, value in result["machine"].items() if key != "device"]
    versions = [f"{key} {value}" for key, value in result["versions"].items()]
    origin = ", ".join([result["date"], result["machine"].get("device", ""), *machine, *versions])
    parts = [f"## {result['name']}", f"{result['title']}.", table(result["rows"]), result.get("note")]
    return "\n\n".join(filter(None, [*parts, f"`{result['command']}`", origin])) + "\n"


def table(rows: list[dict[str, Any]]) -> str:
    """Return a table whose columns are the keys of all rows, in the order in which they come up."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = [[key.replace("_", " ") for key in keys], ["---"] * len(keys)]
    lines += [[shown(row.get(key)) for key in keys] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "results.md", metavar="FILE")
    options = parser.parse_args()
    text = page(options.results)
    with written_whole(options.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(options.output)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(str(error))
