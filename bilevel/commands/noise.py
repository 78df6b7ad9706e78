"""Measures the seed noise of a task's baseline: what a difference has to exceed to mean anything.

`python -m bilevel noise task=NAME [repeats=8] [task.budget_s=... executor.workers=2 ...]`. Every
seed's value is kept at once, so that a measurement that was stopped goes on (`fresh=true` measures
anew); the result is what
`acceptance=noise_aware` reads for the same task settings.
"""

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from bilevel.config.checks import check
from bilevel.config.command_line import command, console
from bilevel.config.files import CONF
from bilevel.config.options import split, whole
from bilevel.config.overrides import composed
from bilevel.errors import ConfigError, TaskError, TrackingError
from bilevel.journal import JOURNAL, Journal
from bilevel.loop.evaluation import repeated
from bilevel.randomness import noise_seed
from bilevel.search.build import move_aside
from bilevel.search.seed_noise import NOISE_FILE, Noise, place, save
from bilevel.tasks.base import Task
from bilevel.trace import Outcome, Proposal
from bilevel.workers.executor import Executor

_USAGE = "python -m bilevel noise task=NAME [repeats=8] [task.budget_s=... executor.workers=2 ...]"
_REPEATS = 8
_BASELINE = Proposal({}, hypothesis="the baseline", origin="noise")


def measure(
    task: Task,
    repeats: int,
    journal: Journal,
    executor: Executor,
    on_outcome: Callable[[int, Outcome], None],
) -> Noise:
    """Measures the baseline at seeds of the range reserved for noise; each outcome is in the
    journal before `on_outcome` is called with it.

    Raises TaskError where fewer than two seeds gave a value.
    """
    seeds = {f"seed {repeat}": noise_seed(repeat) for repeat in range(repeats)}
    outcomes: list[Outcome] = []
    for outcome in repeated(task, _BASELINE, seeds, journal, executor):
        on_outcome(list(seeds.values())[len(outcomes)], outcome)
        outcomes.append(outcome)
    values = tuple(outcome.value for outcome in outcomes if outcome.value is not None)
    if len(values) < 2:
        failures = [o.failure for o in outcomes if o.failure is not None]
        why = f"the last one: {failures[-1].detail}" if failures else "give repeats=8"
        raise TaskError(f"{len(values)} of {repeats} seeds gave a value, expected two; {why}")
    return Noise(task.objective.metric, values, repeats - len(values))


def run(settings: Mapping[str, Any], repeats: int, console: Console) -> Noise:
    """Measures, saves, tracks and prints the noise. Raises BilevelError."""
    folder = place(settings)
    if settings["fresh"]:
        move_aside(folder)
    with contextlib.ExitStack() as stack:
        task: Task = instantiate(settings["task"], _convert_="all")
        stack.callback(task.close)
        task.ready()
        journal = stack.enter_context(Journal(folder / JOURNAL))
        bar = stack.enter_context(tqdm(total=repeats, unit="seed", disable=not _is_terminal()))
        outcomes: list[tuple[int, Outcome]] = []

        def on_outcome(seed: int, outcome: Outcome) -> None:
            outcomes.append((seed, outcome))
            bar.update()
            if not _is_terminal():
                value = outcome.value if outcome.value is not None else outcome.failure
                print(f"{task.name} baseline  {len(outcomes)}/{repeats}  {value}", file=sys.stderr)

        executor: Executor = instantiate(settings["executor"])
        stack.callback(executor.close)
        noise = measure(task, repeats, journal, executor, on_outcome)
    if not noise.sd:
        (folder / NOISE_FILE).unlink(missing_ok=True)
        raise ConfigError(_no_noise(task, noise))
    save(noise, folder)
    try:
        _track(settings, noise, outcomes)
    except TrackingError as error:
        print(f"not tracked: {error}; the values are in {folder}", file=sys.stderr)
    console.print(_table(settings, noise))
    said = f"kept in {folder / NOISE_FILE}; acceptance=noise_aware reads it for this task"
    console.print(said, soft_wrap=True, markup=False, highlight=False)
    return noise


def _no_noise(task: Task, noise: Noise) -> str:
    why = f": {task.unseeded}" if task.unseeded else ""
    return (
        f"{noise.n} seeds gave the same {noise.metric}, {noise.values[0]}, to the last digit, so "
        f"the seed reaches nothing that is measured{why}. No noise is kept: without any, "
        "acceptance=greedy is what to search with"
    )


def _table(settings: Mapping[str, Any], noise: Noise) -> Table:
    low, high = noise.sd_interval
    threshold = 2**0.5 * noise.sd
    table = Table(title=f"Seed noise of the baseline of {settings['task']['name']}")
    table.add_column(noise.metric)
    table.add_column("", justify="right")
    failed = f" ({noise.failed} failed)" if noise.failed else ""
    for name, value in (
        ("seeds", f"{noise.n}{failed}"),
        ("mean", f"{noise.mean:.6f}"),
        ("sd of one measurement", f"{noise.sd:.6f}"),
        ("  its 95% interval, if the noise is normal", f"{low:.6f} to {high:.6f}"),
        ("lowest, highest", f"{min(noise.values):.6f}, {max(noise.values):.6f}"),
        ("sd of a difference of two", f"{threshold:.6f}"),
        *(
            (f"gain that {n} seeds a side find in 80% of cases", f"{noise.detectable(n):.6f}")
            for n in (5, 10)
        ),
    ):
        table.add_row(name, value)
    return table


def _track(
    settings: Mapping[str, Any], noise: Noise, outcomes: Sequence[tuple[int, Outcome]]
) -> None:
    """Tracks the measurement as one parent run with a run for each seed, in the experiment `noise`,
    once only. Raises TrackingError."""
    uri = settings["tracking"].get("uri")
    if uri is None:
        return
    from bilevel.tracking.content import VALUE
    from bilevel.tracking.store import Store

    store = Store(uri, settings["tracking"].get("artifacts"))
    experiment, name = store.experiment("noise", {}), place(settings).name
    held = store.runs(experiment, "tags.kind = 'noise'")
    if any(r.tags.get("noise") == name and r.tags.get("n") == str(len(outcomes)) for r in held):
        return
    common = {"task": settings["task"]["name"], "noise": name, "metric": noise.metric}
    tags = {**common, "kind": "noise", "n": str(len(outcomes))}
    parent = store.create(experiment, f"noise of {common['task']}", tags)
    for repeat, (seed, outcome) in enumerate(outcomes):
        child = store.create(
            experiment, f"seed {seed}", {**common, "kind": "noise_seed", "seed": str(seed)}, parent
        )
        if outcome.value is not None:
            store.log(child, metrics={VALUE: outcome.value, noise.metric: outcome.value})
            store.log(parent, metrics={VALUE: outcome.value}, step=repeat)
        store.status(child, "FINISHED" if outcome.value is not None else "FAILED")
    store.log(parent, metrics={"mean": noise.mean, "sd": noise.sd, "failed": noise.failed})
    store.status(parent, "FINISHED")


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def main(arguments: Sequence[str]) -> int:
    """Prints the noise; returns the exit code a shell sees."""

    def body(arguments: Sequence[str]) -> None:
        own, overrides = split(arguments, ("repeats",))
        repeats = whole("repeats", own.get("repeats", str(_REPEATS)), 2)
        settings = composed(CONF, overrides)
        check(settings)
        run(settings, repeats, console())

    return command(arguments, __doc__, _USAGE, body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
