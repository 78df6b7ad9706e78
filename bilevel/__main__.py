"""The program: `python -m bilevel [COMMAND] ...`; without a command it runs a search."""

import difflib
import importlib
import sys
from pathlib import Path

from bilevel.commands import COMMANDS
from bilevel.visible import visible

_DEFAULT = "run"


def program() -> int:
    """Runs the console script `bilevel`: like `python -m bilevel`, it finds modules in the folder
    where it was started."""
    sys.path.insert(0, str(Path.cwd()))
    return main()


def main() -> int:
    """Runs the command that the arguments begin with; returns its exit code."""
    first, *rest = sys.argv[1:] or [_DEFAULT]
    if first not in COMMANDS and not first.isidentifier():
        first, rest = _DEFAULT, sys.argv[1:]  # an override or an option
    if first not in COMMANDS:
        near = difflib.get_close_matches(first, COMMANDS, 1)
        meant = f"; did you mean {near[0]}?" if near else "."
        told = f"bad input: {first!r} is no command{meant} Valid: {', '.join(COMMANDS)}"
        print(visible(told), file=sys.stderr)
        return 2
    return int(importlib.import_module(f"bilevel.commands.{first}").main(rest))


if __name__ == "__main__":
    sys.exit(main())
