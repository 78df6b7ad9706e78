"""What all commands share: help, a check of the machine, and errors as one line with an exit
code."""

import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bilevel.errors import BadInput
from bilevel.visible import visible
from bilevel.workers.stopping import EXIT_CODE, Stopped, stoppable

_TABLE_COLUMNS = 140  # where the output is no terminal


def command(
    arguments: Sequence[str], doc: str | None, usage: str, body: Callable[[Sequence[str]], object]
) -> int:
    """Runs a command and returns its exit code: what `body` returns if that is a number, else 0;
    for an error, which is printed, the error's code."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(f"{doc or ''}\nusage: {usage}")
        return 0
    from bilevel.config.overrides import REPORTED, reported_as  # --help does without Hydra

    try:
        check_machine()
        with stoppable():
            code = body(arguments)
    except REPORTED as error:
        failure = reported_as(error)
        print(visible(f"error: {failure}"), file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt as stop:
        print("\nstopped; the same command continues from here", file=sys.stderr)
        return EXIT_CODE if isinstance(stop, Stopped) else 130
    return code if isinstance(code, int) else 0


def check_machine() -> None:
    """Raises BadInput except on Linux, where processes end with their parents and journals are
    locked."""
    found = platform.system()
    if found != "Linux":
        raise BadInput(f"this is {found or 'an unknown system'}, and searches run on Linux only")


def console() -> Console:
    """Returns a console on the terminal, or with a width for tables where the output goes
    elsewhere."""
    return _Console(width=None if sys.stdout.isatty() else _TABLE_COLUMNS)


class _Console(Console):
    """A console that escapes control characters: what it prints comes from journals, and so from
    anybody."""

    def render_str(self, text: str, **style: Any) -> Text:
        return super().render_str(visible(text), **style)
