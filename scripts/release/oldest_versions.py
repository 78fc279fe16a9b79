"""Print the oldest version of each package that pyproject.toml allows, as constraints for pip.

python scripts/release/oldest_versions.py
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def oldest_versions(project: Path = PROJECT) -> list[str]:
    """Return `package==version` for each requirement with a lower bound, in the file's order."""
    table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    groups = [table["dependencies"], *table["optional-dependencies"].values()]
    bounds = [re.match(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)", requirement) for group in groups for requirement in group]
    return [f"{bound[1]}=={bound[2]}" for bound in bounds if bound]


if __name__ == "__main__":
    print("\n".join(oldest_versions()))
