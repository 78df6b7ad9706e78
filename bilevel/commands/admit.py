"""Puts a file with a mechanism through the gates that a generated one has to pass.

`python -m bilevel admit FILE.py [trace=NAME|PATH.json] [sandbox=confined|unsafe]` prints one line a
gate; the last line is the admission as JSON. Refused: exit code 1. `trace` is the search that the
mechanism is tried on: one that is shipped with the package, or a file in the same form.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bilevel.admission import admit
from bilevel.admission.shipped import loaded, names
from bilevel.config.command_line import command
from bilevel.config.options import options
from bilevel.errors import BadInput
from bilevel.invention import Admission
from bilevel.sandbox.worker_handle import LAYERS, Limits
from bilevel.visible import visible

_USAGE = (
    f"python -m bilevel admit FILE.py [trace={'|'.join(names())}|PATH.json] "
    f"[sandbox={'|'.join(LAYERS)}]"
)
_DEFAULTS = {"trace": "trap", "sandbox": "confined"}


def admitted(arguments: Sequence[str]) -> Admission:
    """Runs the gates on a file; returns the admission. Raises BadInput."""
    files = [argument for argument in arguments if argument.partition("=")[0] not in _DEFAULTS]
    if len(files) != 1:
        given = ", ".join(files) or "nothing"
        raise BadInput(f"expected one file with a mechanism, got {given}; usage: {_USAGE}")
    rest = [argument for argument in arguments if argument not in files]
    given_options = {**_DEFAULTS, **options(rest, tuple(_DEFAULTS), (), _USAGE)}
    try:
        source = Path(files[0]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{files[0]}: {error}; give a Python file") from None
    return admit(source, loaded(given_options["trace"]), Limits(given_options["sandbox"]))


def main(arguments: Sequence[str]) -> int:
    """Prints the verdicts; returns the exit code a shell sees."""

    def body(arguments: Sequence[str]) -> int:
        admission = admitted(arguments)
        for verdict in admission.verdicts:
            came = "passed" if verdict.passed else "REFUSED"
            print(visible(f"{verdict.gate}: {came}: {verdict.reason}"))
        print(json.dumps(admission.to_json()))
        return 0 if admission.admitted else 1

    return command(arguments, __doc__, _USAGE, body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
