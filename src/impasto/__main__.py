"""`python -m impasto` is the `impasto` command."""

import sys

from impasto.errors import INTERRUPTED, INTERRUPTED_CODE


def main() -> int:
    """Run the command; an interruption while its parts are being loaded is one line, too."""
    try:
        from impasto.cli import main

        return main()
    except KeyboardInterrupt:
        print(f"impasto: {INTERRUPTED}", file=sys.stderr)
        return INTERRUPTED_CODE


if __name__ == "__main__":
    sys.exit(main())
