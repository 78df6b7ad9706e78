"""`python -m bilevel.report study=NAME [tracking.uri=...] [out=DIR]`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bilevel.errors import BilevelError
from bilevel.options import options
from bilevel.report import report
from bilevel.tracking.location import DEFAULT_URI

USAGE = "python -m bilevel.report study=NAME [tracking.uri=URI | results=DIR] [out=DIR]"
TABLE_COLUMNS = 140  # where the output is no terminal
_KEYS = ("study", "tracking.uri", "results", "out")


def main(arguments: Sequence[str]) -> int:
    """Prints the report; returns the exit code a shell sees."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(f"usage: {USAGE}")
        return 0
    try:
        given = options(arguments, _KEYS, ("study",), USAGE)
        out = Path(given["out"]) if "out" in given else None
        if out is None and "results" in given:
            out = Path(given["results"]) / "reports" / given["study"]
        local = f"sqlite:///{given['results']}/mlflow.db" if "results" in given else DEFAULT_URI
        width = None if sys.stdout.isatty() else TABLE_COLUMNS
        report(given["study"], given.get("tracking.uri", local), out, Console(width=width))
    except BilevelError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
