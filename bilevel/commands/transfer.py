"""Measures a mechanism on the tasks of a suite, beside other arms, paired by task and seed.

`python -m bilevel transfer mechanism=NAME [suite=landscapes] [half=held_out] [inner=level1]
[against=restart,tpe,cmaes,centaur] [llm=scripted] [repeats=3] [trials=30] [seed=1] [workers=2]`
takes a file of conf/mechanisms, or the path of a Python file with a generated one; with
`study=STUDY arm=ARM seed=N` one that the model of that search wrote. What a model wrote has to
pass the gates first and runs in the sandbox.

`inner` is the arm that searches the tasks, with the mechanism and without. The gain of a search is
the share of the way from the task's baseline to its best known value, without noise. What is
measured is kept under results=mlruns, in transfer/, with the digest of the mechanism's text:
`promote` asks for it.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.utils import instantiate
from rich.table import Table
from tqdm import tqdm

from bilevel.config.arms import CLASSICAL, role_of
from bilevel.config.command_line import command, console
from bilevel.config.files import CONF
from bilevel.config.options import options, whole
from bilevel.config.overrides import composed
from bilevel.discovery.cells import Cell
from bilevel.discovery.contestant import Attached, Contestant, text_of, with_mechanism
from bilevel.discovery.measuring import Measuring
from bilevel.discovery.members import HALVES, HELD_OUT, members
from bilevel.discovery.transfer import DIGEST, FOLDER, OWN_METHOD, HookTime, Row, Transfer
from bilevel.discovery.written import digest_of, written
from bilevel.errors import BadInput
from bilevel.sandbox.worker_handle import Limits
from bilevel.search.from_journal import journal_of
from bilevel.statistics.estimates import Interval

_DEFAULTS = {
    "mechanism": "",
    "study": "",
    "arm": "",
    "suite": "landscapes",
    "half": HELD_OUT,
    "inner": "level1",
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
_USAGE = (
    "python -m bilevel transfer [study=STUDY arm=ARM seed=N] mechanism=NAME [suite=landscapes] "
    "[half=held_out] ..."
)

_COLUMNS = (
    *("95 % interval", "rank", "trials taken", "ms a hook call"),
    *("lead over it", "95 % interval", "p (Holm)"),
)
_OWN = (
    f"The mechanism took at least {OWN_METHOD:.0%} of the trials: it is a search method of its "
    "own, ranked among classical searches, and what it gains is not the model's below. The other "
    "arms are ranked among themselves."
)


def transfer(arguments: Sequence[str]) -> tuple[Transfer, Path]:
    """Measures, and keeps what was measured. Raises BadInput, ConfigError."""
    given = {**_DEFAULTS, **options(arguments, _DEFAULTS, ["mechanism"], _USAGE)}
    if given["half"] not in HALVES:
        raise BadInput(f"half={given['half']}: expected one of {', '.join(HALVES)}")
    number = {n: whole(n, given[n], 0 if n == "seed" else 1) for n in _NUMBERS}
    found = members(given["suite"])[given["half"]]
    limits: Limits = instantiate(composed(CONF, ["task=trap", "arm=random"])["sandbox"])
    alone = Contestant.named(given["inner"], given["llm"], number["trials"])
    source = _text(given)
    with_it, attached = with_mechanism(
        given["mechanism"],
        given["inner"],
        given["llm"],
        number["trials"],
        found[0].task(),
        limits,
        source if given["study"] else "",
    )
    arms = {f"{alone.title} + {_short(given['mechanism'])}": (with_it, attached)}
    arms[alone.title] = (alone, None)
    classical = []
    for arm in filter(None, given["against"].split(",")):
        other = Contestant.named(arm, given["llm"], number["trials"])
        arms[other.title] = (other, None)
        classical += [other.title] if role_of(arm).control == CLASSICAL else []
    cells: dict[str, list[Cell]] = {}
    hooks: dict[str, HookTime] = {}
    places = [(member, repeat) for repeat in range(number["repeats"]) for member in found]
    bar = tqdm(arms.items(), unit="arm", disable=not sys.stderr.isatty())
    for title, (contestant, beside) in bar:
        how = Measuring(contestant, limits, number["hook_limit_s"], number["workers"])
        measured = how.cells(places, number["seed"], beside)
        cells[title] = [cell for cell, _ in measured]
        calls, seconds = (sum(cost[n] for _, cost in measured) for n in ("hook_calls", "hook_s"))
        hooks[title] = HookTime(round(calls), seconds)
    made_with = {name: given[name] for name in _DEFAULTS if name not in ("results", "workers")}
    made = Transfer(cells, {**made_with, DIGEST: digest_of(source)}, hooks, tuple(classical))
    path = Path(given["results"]) / FOLDER / f"{_file_name(made, attached)}.json"
    made.save(path)
    return made, path


def _file_name(made: Transfer, attached: Attached | None) -> str:
    """Texts that a model wrote may share a name: theirs has the beginning of the digest too."""
    with_ = made.made_with
    text = f"-{with_[DIGEST][:8]}" if attached else ""
    return f"{_short(with_['mechanism'])}{text}-{Path(with_['suite']).stem}-{with_['half']}"


def _text(given: Mapping[str, str]) -> str:
    """The mechanism's text: out of a search, a file's, or that of a curated one."""
    name = given["mechanism"]
    if bool(given["study"]) != bool(given["arm"]):
        raise BadInput(
            f"study={given['study']} arm={given['arm']}: together with seed=N they name the search "
            "whose model wrote the mechanism; the arm that searches the tasks is inner=level1"
        )
    if given["study"]:
        at = given["study"], given["arm"], given["seed"]
        return written(journal_of(Path(given["results"]), *at), name).invention.source
    return text_of(name)


def _short(mechanism: str) -> str:
    return Path(mechanism).stem


def _title(made: Transfer) -> str:
    rows, with_ = made.rows(), made.made_with
    return (
        f"{rows[0].title} on {with_['suite']}, {with_['half']}: {len(rows[0].gain.by_task)} tasks, "
        f"{with_['repeats']} seeds, {with_['trials']} trials"
    )


def table(made: Transfer, title: str, unit: str = "gain") -> Table:
    """Gains with 95 % intervals over tasks, ranks, what a mechanism took and cost, and its lead
    over each other arm."""
    rows = made.rows()
    drawn = Table(title=title, caption=_OWN if made.is_own_method else None)
    drawn.add_column("arm")
    for name in (unit, *_COLUMNS):
        drawn.add_column(name, justify="right")
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        ends = following is not None and following.group != row.group
        drawn.add_row(row.title, *_cells_of(row), end_section=ends)
    return drawn


def _cells_of(row: Row) -> list[str]:
    lead = ["", "", ""]
    if row.ahead is not None and row.p_holm is not None:
        lead = [f"{row.ahead.mean:+.3f}", _told(row.ahead_interval, "+"), f"{row.p_holm:.2g}"]
    cost = [f"{row.taken:.0%}", f"{row.hook_ms:.1f}"] if row.hook_ms is not None else ["", ""]
    gain = [f"{row.gain.mean:.3f}", _told(row.gain_interval, "")]
    return [*gain, f"{row.rank:.2f}", *cost, *lead]


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
