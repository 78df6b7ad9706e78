"""Measures many configurations of a task, for whoever wants a model of it that answers at once.

`python -m bilevel measure task=NAME [count=1200] [known=FILE.jsonl] [seeds=101,102,103]
[task.budget_s=... executor.workers=2 ...]`. Every outcome is kept at once: the same command goes on
where it was stopped (`fresh=true` starts over), unless what decides outcomes has changed. `known`
are measurements of before, which are not made again and are part of what comes out. `again=50`
measures so many of `known` again instead, drawn at random, and tells whether they come out the
same.
"""

import contextlib
import hashlib
import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from rich.table import Table
from tqdm import tqdm

from bilevel.config.checks import check
from bilevel.config.command_line import command, console
from bilevel.config.files import CONF
from bilevel.config.options import split, whole
from bilevel.config.overrides import composed
from bilevel.errors import BadInput
from bilevel.journal import JOURNAL, Journal
from bilevel.randomness import keyed
from bilevel.search import same_world
from bilevel.search.build import move_aside
from bilevel.search.identity import flat
from bilevel.space import canonical
from bilevel.tasks.base import Task
from bilevel.tasks.measured import records
from bilevel.tasks.measured.design import BLOCK, Design, Planned
from bilevel.tasks.measured.records import Measurement
from bilevel.trace import Outcome, Proposal
from bilevel.workers.executor import Executor, Request

_USAGE = (
    "python -m bilevel measure task=NAME [count=1200] [known=FILE.jsonl] [again=50] "
    "[seeds=101,102,103] [task.budget_s=... executor.workers=2 ...]"
)
_OWN = {"count": "1200", "known": "", "again": "0", "seeds": "101,102,103"}
_DIFFER = 2  # the exit code where measurements did not come out as before
_SHOWN = 5
MEASURED, PROVENANCE = "measured.jsonl", "provenance.json"


def measured(
    task: Task, plan: Sequence[Planned], journal: Journal, executor: Executor, first: int = 0
) -> Iterator[Measurement]:
    """Yields the measurements of a plan in order; each is in the journal, numbered from `first` on,
    before the next one is read."""
    keys = [f"measured {first + place}" for place in range(len(plan))]
    asked = [{"config": dict(task.effective(p.config)), "seed": p.seed} for p in plan]
    unknown = [
        Request(None, _proposal(task, one), one.seed)
        for one, key, request in zip(plan, keys, asked, strict=True)
        if not journal.holds("outcome", key, request)
    ]
    results = executor.outcomes(task, unknown)
    for one, key, request in zip(plan, keys, asked, strict=True):
        answer = journal.once(
            "outcome", key, lambda: next(results).to_json(), request=request, durable=True
        )
        yield Measurement.of(one.config, one.seed, one.why, Outcome.from_json(answer))


def _proposal(task: Task, one: Planned) -> Proposal:
    start = task.space.baseline
    changes = {name: value for name, value in one.config.items() if value != start.get(name)}
    return Proposal(changes, one.why, origin="measure")


def _designed(
    task: Task,
    design: Design,
    known: Sequence[Measurement],
    count: int,
    journal: Journal,
    executor: Executor,
) -> Iterator[Measurement]:
    """Yields measurements until there are `count` with those that are known."""
    found: list[Measurement] = []
    while (left := count - len(known) - len(found)) > 0:
        plan = design.block(len(found) // BLOCK, [*known, *found])
        for one in measured(task, plan[:left], journal, executor, len(found)):
            found.append(one)
            yield one


class _Run:
    """What a command was given, checked, and the folder of what it measures."""

    def __init__(self, own: Mapping[str, str], settings: Mapping[str, Any]) -> None:
        given = {**_OWN, **own}
        self.settings = settings
        self.count, self.again = (whole(name, given[name], 0) for name in ("count", "again"))
        self.seeds = [whole("seeds", seed, 0) for seed in given["seeds"].split(",")]
        self.known = records.read(Path(given["known"]).expanduser()) if given["known"] else []
        if self.again and not self.known:
            raise BadInput(f"again={self.again} needs known=FILE.jsonl; usage: {_USAGE}")
        self.folder = Path(settings["results"]) / "measured" / self._name()

    def _name(self) -> str:
        """Of the task with exactly these settings, known measurements and seeds."""
        task = self.settings["task"]
        parts = [canonical(dict(flat(task))), records.text(self.known), str(self.seeds)]
        found = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
        return f"{task['name']}-{found}" + ("-again" if self.again else "")

    def plan(self, task: Task) -> list[Planned]:
        """Known ones that are measured again."""
        drawn = keyed(0, "again").sample(self.known, min(self.again, len(self.known)))
        return [Planned(one.config, one.seed, one.why) for one in drawn]

    def measurements(
        self, task: Task, journal: Journal, executor: Executor
    ) -> Iterator[Measurement]:
        for one in self.known:
            task.space.check(_proposal(task, Planned(one.config, one.seed, one.why)).changes)
        if self.again:
            return measured(task, self.plan(task), journal, executor)
        design = Design(task.space, task.objective, self.seeds, seed=0)
        return _designed(task, design, self.known, self.count, journal, executor)


def _measured(run: _Run) -> list[Measurement]:
    """Measures, and writes what there is whenever it ends. Raises BilevelError."""
    found: list[Measurement] = []
    if run.settings["fresh"]:
        move_aside(run.folder)
    with contextlib.ExitStack() as stack:
        task: Task = instantiate(run.settings["task"], _convert_="all")
        stack.callback(task.close)
        task.ready()
        journal = stack.enter_context(Journal(run.folder / JOURNAL))
        same_world.keep(journal, task, task.material(), f"the measurements of {task.name}")
        executor: Executor = instantiate(run.settings["executor"])
        stack.callback(executor.close)
        world = dict(task.world())
        stack.callback(lambda: _kept(run, found, world))
        total = run.again or max(0, run.count - len(run.known))
        bar = stack.enter_context(tqdm(total=total, unit="run", disable=not sys.stderr.isatty()))
        for one in run.measurements(task, journal, executor):
            found.append(one)
            bar.update()
    return found


def _kept(run: _Run, found: Sequence[Measurement], world: Mapping[str, str]) -> None:
    """Writes the measurements, and beside them what they were made with."""
    every = found if run.again else [*run.known, *found]
    records.write(run.folder / MEASURED, every)
    made_with = {
        "task": dict(flat(run.settings["task"])),
        "world": dict(world),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "seeds": run.seeds,
        "measured": len(found),
        "known": len(run.known),
        "sha256": hashlib.sha256(records.text(every).encode()).hexdigest(),
    }
    (run.folder / PROVENANCE).write_text(json.dumps(made_with, indent=1, default=str) + "\n")


def _summary(found: Sequence[Measurement], title: str) -> Table:
    table = Table(title=title)
    for name in ("chosen", "runs", "failed", "lowest", "median", "highest"):
        table.add_column(name, justify="left" if name == "chosen" else "right")
    for why in dict.fromkeys(one.why for one in found):
        group = [one for one in found if one.why == why]
        values = sorted(one.value for one in group if one.value is not None)
        ends = [values[0], values[len(values) // 2], values[-1]] if values else []
        numbers = [f"{value:.6f}" for value in ends] or ["", "", ""]
        table.add_row(why, str(len(group)), str(len(group) - len(values)), *numbers)
    return table


def _places(value: float) -> int:
    """The decimals that a value is written with."""
    return -int(Decimal(repr(value)).as_tuple().exponent)


def is_same(one: Measurement, before: Measurement) -> bool:
    """Whether a measurement came out as before, to the last digit that was written then."""
    if one.value is None or before.value is None:
        return one.value is None and before.value is None and one.failure == before.failure
    return round(one.value, _places(before.value)) == before.value


def _pairs(run: _Run, found: Sequence[Measurement]) -> list[tuple[Measurement, Measurement]]:
    """Each measurement with the known one that it repeats."""
    before = {(canonical(one.config), one.seed): one for one in run.known}
    return [(one, before[canonical(one.config), one.seed]) for one in found]


def _differing(pairs: Sequence[tuple[Measurement, Measurement]]) -> Table:
    table = Table(title="Measured again, and not the same")
    for name in ("chosen", "seed", "before", "now"):
        table.add_column(name, justify="left" if name == "chosen" else "right")
    for one, was in pairs[:_SHOWN]:
        came_to = [m.failure if m.value is None else repr(m.value) for m in (was, one)]
        table.add_row(one.why, str(one.seed), *came_to)
    return table


def _told(run: _Run, found: Sequence[Measurement]) -> int:
    """Prints what was measured; returns the exit code."""
    page, differing = console(), list[tuple[Measurement, Measurement]]()
    if run.again:
        differing = [pair for pair in _pairs(run, found) if not is_same(*pair)]
        if differing:
            page.print(_differing(differing))
        same = len(found) - len(differing)
        page.print(f"{same} of {len(found)} came out the same to the last digit")
    else:
        name = run.settings["task"]["name"]
        title = f"{name}: {len(run.known)} known measurements, {len(found)} new"
        page.print(_summary([*run.known, *found], title))
    page.print(f"kept in {run.folder / MEASURED}", soft_wrap=True, markup=False, highlight=False)
    return _DIFFER if differing else 0


def main(arguments: Sequence[str]) -> int:
    """Prints what was measured; returns the exit code a shell sees."""

    def body(arguments: Sequence[str]) -> int:
        own, overrides = split(arguments, tuple(_OWN))
        settings = composed(CONF, overrides)
        check(settings)
        run = _Run(own, settings)
        return _told(run, _measured(run))

    return command(arguments, __doc__, _USAGE, body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
