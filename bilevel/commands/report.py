"""`python -m bilevel report study=NAME [tracking.uri=URI | results=DIR] [out=DIR]`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from bilevel.config.command_line import command, console
from bilevel.config.options import options
from bilevel.report import report
from bilevel.tracking.location import DEFAULT_URI

_USAGE = "python -m bilevel report study=NAME [tracking.uri=URI | results=DIR] [out=DIR]"
_KEYS = ("study", "tracking.uri", "results", "out")


def main(arguments: Sequence[str]) -> int:
    """Prints the report; returns the exit code a shell sees."""

    def body(arguments: Sequence[str]) -> None:
        given = options(arguments, _KEYS, ("study",), _USAGE)
        out = Path(given["out"]) if "out" in given else None
        if out is None and "results" in given:
            out = Path(given["results"]) / "reports" / given["study"]
        local = f"sqlite:///{given['results']}/mlflow.db" if "results" in given else DEFAULT_URI
        report(given["study"], given.get("tracking.uri", local), out, console())

    return command(arguments, __doc__, _USAGE, body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
