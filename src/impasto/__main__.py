"""`python -m impasto` is the `impasto` command."""

import sys

_INTERRUPTED = 130


def main() -> int:
    """Run the command; an interruption while its parts are being loaded is one line, too."""
    try:
        from impasto.cli import main

        return main()
    except KeyboardInterrupt:
        print("impasto: interrupted; files that were finished are whole", file=sys.stderr)
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
