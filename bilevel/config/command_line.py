"""What every command does alike: help, a check of the machine, errors in a line with a code."""

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
    """The exit code a shell sees: what `body` returns if that is a number, else 0, or that of the
    error that it raised, which is printed."""
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
    """Raises BadInput: processes end with their parents, and journals are written, as on Linux."""
    found = platform.system()
    if found != "Linux":
        raise BadInput(f"this is {found or 'an unknown system'}, and searches run on Linux only")


def console() -> Console:
    """The terminal, or a page wide enough for a table where the output goes elsewhere."""
    return _Console(width=None if sys.stdout.isatty() else _TABLE_COLUMNS)


class _Console(Console):
    """What is written into cells and lines comes from journals, and so from anybody."""

    def render_str(self, text: str, **style: Any) -> Text:
        return super().render_str(visible(text), **style)
