"""How prompts show a search: parameters, trials and values as compact text."""

import json
from collections.abc import Iterable, Mapping, Sequence

from bilevel.llm.prompts import cell, fenced
from bilevel.parameters import Parameter, Value
from bilevel.space import Config
from bilevel.trace import Trial
from bilevel.view import View

MAX_SOURCE_CHARS = 60_000
TRIALS_HEADER = "| trial | changes | {metric} | delta | decision | failure |"


def printed(value: Value) -> str:
    """A value as a reply would write it."""
    return json.dumps(value)


def table(header: str, rows: Iterable[Sequence[str]]) -> str:
    columns = header.count("|") - 1
    lines = [header, "|" + " --- |" * columns]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def parameter_list(parameters: Sequence[Parameter], base: Config) -> str:
    """Name, current value and range of each."""
    rows = [(p.name, cell(printed(base[p.name])), cell(p.range, 400)) for p in parameters]
    return table("| parameter | current value | range |", rows)


def trial_table(trials: Sequence[Trial], view: View) -> str:
    """One row a trial: what it changed in its parent's configuration, and what came of it."""
    if not trials:
        return "(no experiments are shown)"
    known = {trial.number: trial for trial in (*view.trace, *trials)}
    rows = [
        _row(trial, known.get(-1 if trial.parent is None else trial.parent)) for trial in trials
    ]
    return table(TRIALS_HEADER.format(metric=view.objective.metric), rows)


def _row(trial: Trial, parent: Trial | None) -> tuple[str, ...]:
    failure = trial.outcome.failure
    reason = "" if failure is None else cell(f"{failure.kind}: {failure.detail}")
    value = "" if trial.value is None else f"{trial.value:.6g}"
    delta = change_of_metric(trial, parent)
    shown_delta = "" if delta is None else f"{delta:+.4g}"
    decision = str(trial.decision)
    if trial.duplicate_of is not None:
        decision += f", repeats trial {trial.duplicate_of}"
    return (str(trial.number), changed(trial, parent), value, shown_delta, decision, reason)


def changed(trial: Trial, parent: Trial | None) -> str:
    """`NAME old -> new` for everything in which a trial differs from its parent."""
    if trial.retest_of is not None:
        return f"(trial {trial.retest_of} again, on another seed)"
    if parent is None:
        return "(baseline)"
    moves = [
        f"{name} {printed(parent.config[name])} -> {printed(value)}"
        for name, value in trial.config.items()
        if parent.config.get(name, value) != value
    ]
    if moves:
        return cell("; ".join(moves), 400)
    return "(unusable proposal)" if trial.outcome.failure is not None else "(no change)"


def change_of_metric(trial: Trial, parent: Trial | None) -> float | None:
    if parent is None or trial.value is None or parent.value is None:
        return None
    return trial.value - parent.value


def best_so_far(view: View) -> str:
    best = view.trace.best(view.objective)
    if best is None or best.value is None:
        return "none"
    return f"{best.value:.6g} (trial {best.number})"


def shown_source(text: str) -> str:
    """What is being edited, fenced; the middle of a very long one is left out, with a mark."""
    if len(text) > MAX_SOURCE_CHARS:
        half = MAX_SOURCE_CHARS // 2
        text = (
            f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
        )
    return fenced(text)


def described(settings: Mapping[str, Value]) -> str:
    return "\n".join(f"- {name}: {printed(value)}" for name, value in settings.items())
