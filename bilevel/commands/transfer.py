"""Measures a mechanism on the tasks of a suite, beside other arms, paired by task and seed.

`python -m bilevel transfer mechanism=NAME [suite=landscapes] [half=held_out] [arm=level1]
[against=restart,tpe,cmaes,centaur] [llm=scripted] [repeats=3] [trials=30] [seed=1] [workers=2]`.

NAME is a file of conf/mechanisms, or the path of a Python file with a generated one, which has to
pass the gates first and runs in the sandbox. The gain of a search is the share of the way from the
task's baseline to its best known value, without noise. What is measured is kept under
results=mlruns, in transfer/.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.utils import instantiate
from rich.table import Table
from tqdm import tqdm

from bilevel.config.command_line import command, console
from bilevel.config.files import CONF
from bilevel.config.options import options
from bilevel.config.overrides import composed
from bilevel.discovery.cells import Cell
from bilevel.discovery.contestant import Contestant, with_mechanism
from bilevel.discovery.measuring import Measuring
from bilevel.discovery.members import HALVES, HELD_OUT, members
from bilevel.discovery.transfer import Row, Transfer
from bilevel.errors import BadInput
from bilevel.sandbox.worker_handle import Limits
from bilevel.statistics.estimates import Interval

_DEFAULTS = {
    "mechanism": "",
    "suite": "landscapes",
    "half": HELD_OUT,
    "arm": "level1",
    "against": "restart,tpe,cmaes,centaur",
    "llm": "scripted",
    "repeats": "3",
    "trials": "30",
    "seed": "1",
    "workers": "2",
    "hook_limit_s": "30",
    "results": "mlruns",
}
_NUMBERS = ("repeats", "trials", "seed", "workers", "hook_limit_s")
_USAGE = "python -m bilevel transfer mechanism=NAME [suite=landscapes] [half=held_out] ..."


def transfer(arguments: Sequence[str]) -> tuple[Transfer, Path]:
    """Measures, and keeps what was measured. Raises BadInput, ConfigError."""
    given = {**_DEFAULTS, **options(arguments, _DEFAULTS, ["mechanism"], _USAGE)}
    if given["half"] not in HALVES:
        raise BadInput(f"half={given['half']}: expected one of {', '.join(HALVES)}")
    number = {n: whole(n, given[n]) for n in _NUMBERS}
    found = members(given["suite"])[given["half"]]
    limits: Limits = instantiate(composed(CONF, ["task=trap", "arm=random"])["sandbox"])
    alone = Contestant.named(given["arm"], given["llm"], number["trials"])
    with_it, attached = with_mechanism(
        given["mechanism"], given["arm"], given["llm"], number["trials"], found[0].task(), limits
    )
    arms = {f"{alone.title} + {_short(given['mechanism'])}": (with_it, attached)}
    arms[alone.title] = (alone, None)
    for arm in filter(None, given["against"].split(",")):
        other = Contestant.named(arm, given["llm"], number["trials"])
        arms[other.title] = (other, None)
    cells: dict[str, list[Cell]] = {}
    places = [(member, repeat) for repeat in range(number["repeats"]) for member in found]
    bar = tqdm(arms.items(), unit="arm", disable=not sys.stderr.isatty())
    for title, (contestant, beside) in bar:
        how = Measuring(contestant, limits, number["hook_limit_s"], number["workers"])
        cells[title] = [cell for cell, _ in how.cells(places, number["seed"], beside)]
    made_with = {name: given[name] for name in _DEFAULTS if name not in ("results", "workers")}
    made = Transfer(cells, made_with)
    path = (
        Path(given["results"])
        / "transfer"
        / (f"{_short(given['mechanism'])}-{Path(given['suite']).stem}-{given['half']}.json")
    )
    made.save(path)
    return made, path


def whole(name: str, given: str) -> int:
    """The number that an option is. Raises BadInput."""
    if not given.isdigit() or int(given) < 1:
        raise BadInput(f"{name}={given}: expected a whole number of at least 1")
    return int(given)


def _short(mechanism: str) -> str:
    return Path(mechanism).stem


def table(made: Transfer, title: str, unit: str = "gain") -> Table:
    """Gains with 95 % intervals over tasks, ranks, and the mechanism's lead over each other arm."""
    rows = made.rows()
    drawn = Table(title=title)
    drawn.add_column("arm")
    for name in (unit, "95 % interval", "rank", "lead over it", "95 % interval", "p (Holm)"):
        drawn.add_column(name, justify="right")
    for row in rows:
        drawn.add_row(row.title, *_cells_of(row))
    return drawn


def _title(made: Transfer) -> str:
    first, with_ = next(iter(made.cells)), made.made_with
    tasks = len({cell.task for cell in made.cells[first]})
    return (
        f"{first} on {with_['suite']}, {with_['half']}: {tasks} tasks, "
        f"{with_['repeats']} seeds, {with_['trials']} trials"
    )


def _cells_of(row: Row) -> list[str]:
    lead = ["", "", ""]
    if row.ahead is not None and row.p_holm is not None:
        lead = [f"{row.ahead.mean:+.3f}", _told(row.ahead_interval, "+"), f"{row.p_holm:.2g}"]
    return [f"{row.gain.mean:.3f}", _told(row.gain_interval, ""), f"{row.rank:.2f}", *lead]


def _told(found: Interval | None, sign: str) -> str:
    return "" if found is None else f"{found.low:{sign}.3f} to {found.high:{sign}.3f}"


def main(arguments: Sequence[str]) -> int:
    """Prints the table; returns the exit code a shell sees."""

    def body(arguments: Sequence[str]) -> int:
        made, path = transfer(arguments)
        page = console()
        page.print(table(made, _title(made)))
        page.print(f"kept in {path}", soft_wrap=True, markup=False, highlight=False)
        return 0

    return command(arguments, __doc__, _USAGE, body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
