"""Speed, measured in one run and held against its targets: `make bench`.

`python -m tests.bench statistics` prints what the report's statistics hold of their promises, and
`python -m tests.bench halves` whether a suite's training half tells what carries over.
"""

import importlib
import sys

from rich.console import Console
from rich.table import Table

PAGES = ("statistics", "halves")  # they print markdown, and have no targets
PARTS = ("start", "searching", "tracking", "train_step", "trials", "sandbox", "report", "discovery")


def main(chosen: list[str]) -> int:
    """Prints one table, or pages alone; exits 1 if a target was missed."""
    for page in (name for name in chosen if name in PAGES):
        for line in importlib.import_module(f"tests.bench.{page}").markdown():
            print(line, flush=True)
    parts = [name for name in chosen if name not in PAGES] if chosen else PARTS
    if not parts:
        return 0
    console = Console(width=110)
    table = Table(title="speed")
    for column in ("what", "measured", "target", ""):
        table.add_column(column, justify="right" if column in {"measured", "target"} else "left")
    missed = 0
    for part in parts:
        console.print(f"measuring {part} ...", style="dim")
        for row in importlib.import_module(f"tests.bench.{part}").measure():
            name, value, unit, target = row
            met = target is None or meets(value, target)
            missed += not met
            mark = "" if target is None else "ok" if met else "MISSED"
            table.add_row(name, f"{value:.3g} {unit}", target or "", mark)
    console.print(table)
    return 1 if missed else 0


def meets(value: float, target: str) -> bool:
    """A target is '<= number' or '>= number'."""
    sign, _, bound = target.partition(" ")
    return value <= float(bound) if sign == "<=" else value >= float(bound)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
