"""How prompts show a search: parameters, trials and values as compact text."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bilevel.llm.prompts import cell, fenced
from bilevel.parameters import Parameter, Value
from bilevel.space import Config, canonical
from bilevel.trace import Trial
from bilevel.view import About, Standing, View

_MAX_SOURCE_CHARS = 60_000
_ACTS = ("decision", "prompt")  # effects of a hook call that changed something
_MAX_METRICS = 6  # other numbers of a run that a table has columns for
PROPOSER = "llm"  # the origin of what a search's own proposer asked the model for
_NOBODY = ("", "baseline", "retest")  # origins of trials that nobody proposed


def printed(value: Value) -> str:
    """A value as a reply would write it."""
    return json.dumps(value)


def table(header: str, rows: Iterable[Sequence[str]]) -> str:
    columns = header.count("|") - 1
    lines = [header, "|" + " --- |" * columns]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def columns(named: Mapping[str, Sequence[str]], optional: Iterable[str] = ()) -> str:
    """A table of columns; an optional one without any entry is left out."""
    left = {n: cells for n, cells in named.items() if n not in {*optional} or any(cells)}
    return table(f"| {' | '.join(left)} |", zip(*left.values(), strict=True))


def parameter_list(
    parameters: Sequence[Parameter],
    base: Config,
    meanings: Mapping[str, str] | None = None,
    trials: Sequence[Trial] = (),
) -> str:
    """Name, current value and range of each, what it is where that is known, and how often each
    way was tried in these trials, if there are any."""
    tried = _tried(parameters, trials)
    return columns(
        {
            "parameter": [p.name for p in parameters],
            "current value": [cell(printed(base[p.name])) for p in parameters],
            "range": [cell(p.range, 400) for p in parameters],
            "tried": [tried.get(p.name, "never" if trials else "") for p in parameters],
            "what it is": [cell((meanings or {}).get(p.name, "")) for p in parameters],
        },
        optional=("tried", "what it is"),
    )


def trial_table(trials: Sequence[Trial], view: View) -> str:
    """One row a trial: what it was built on and changed, and what came of it. Other numbers that a
    run printed have columns where they differ, and are told once where they do not."""
    if not trials:
        return "(no experiments are shown)"
    known = {trial.number: trial for trial in (*view.trace, *trials)}
    parents = [None if trial.parent is None else known.get(trial.parent) for trial in trials]
    pairs = [*zip(trials, parents, strict=True)]
    others = _other_metrics(trials, view.objective.metric)
    varying = [name for name, cells in others.items() if len({*filter(None, cells)}) > 1]
    shown = columns(
        {
            "trial": [str(trial.number) for trial in trials],
            "built on": ["" if t.parent is None else str(t.parent) for t in trials],
            "changes": [changed(trial, parent) for trial, parent in pairs],
            view.objective.metric: ["" if t.value is None else f"{t.value:.6g}" for t in trials],
            "delta": [_signed(change_of_metric(trial, parent)) for trial, parent in pairs],
            "decision": [_decided(trial) for trial in trials],
            "proposed by": _proposed_by(trials),
            **{name: others[name] for name in varying[:_MAX_METRICS]},
            "note": [_note(trial, parent) for trial, parent in pairs],
        },
        optional=("proposed by", "note"),
    )
    same = [f"{n} {next(filter(None, c))}" for n, c in others.items() if n not in varying]
    return f"{shown}\n\nThe same in all of them: {', '.join(same)}." if same else shown


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


def locked(view: View) -> str:
    meanings = view.about.meanings
    listed = [
        f"{n}={printed(view.base[n])}" + (f" ({meanings[n]})" if n in meanings else "")
        for n in view.space.locked
    ]
    return ", ".join(listed) or "none"


def acting(standings: Sequence[Standing]) -> str:
    """The mechanisms that have changed something, and what came of it; one that has not is not
    mentioned: what changes nothing has to change nothing here either."""
    lines = []
    for one in standings:
        acts = [f"{hook} {n}" for hook, n in _acts(one.counts).items()]
        if acts:
            span = f"since trial {one.since}" + ("" if one.attached else ", detached again")
            lines.append(
                f"- {one.name} ({span}): changed something at {', '.join(acts)} times; it caused "
                f"{one.credit}; the proposer meanwhile: {one.proposers}"
            )
    return "\n".join(lines) or "none that has changed anything"


def change_of_metric(trial: Trial, parent: Trial | None) -> float | None:
    if parent is None or trial.value is None or parent.value is None:
        return None
    return trial.value - parent.value


def best_so_far(view: View) -> str:
    best = view.trace.best(view.objective)
    if best is None or best.value is None:
        return "none"
    return f"{best.value:.6g} (trial {best.number})"


def same_values(parameters: Sequence[Parameter], view: View) -> str:
    """The values that would run the same as each other in the present configuration, if any."""
    lines = []
    for parameter in parameters:
        found: dict[str, list[str]] = {}
        for value in parameter.listed:
            runs = view.effective({**view.base, parameter.name: value})
            found.setdefault(canonical(dict(runs)), []).append(printed(value))
        groups = [" = ".join(group) for group in found.values() if len(group) > 1]
        if groups:
            lines.append(f"- {parameter.name}: {'; '.join(groups)}")
    return "\n".join(["Values that run the same here:", *lines]) if lines else ""


def shown_source(text: str) -> str:
    """What is being edited, fenced; the middle of a very long one is left out, with a mark."""
    if len(text) > _MAX_SOURCE_CHARS:
        half = _MAX_SOURCE_CHARS // 2
        text = (
            f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
        )
    return fenced(text)


def described(settings: Mapping[str, Value]) -> str:
    return "\n".join(f"- {name}: {printed(value)}" for name, value in settings.items())


def experiment(about: About, *, source: bool = True) -> str:
    """The facts of it, and what is edited where a proposer reads that."""
    said = "\n\n".join(filter(None, (about.facts, about.noise))) or "Nothing is told of it."
    if not source or not about.source:
        return said
    told = "The script without the constants below, in outline where it does not use them:"
    return f"{said}\n\n{told}\n\n{shown_source(about.source)}"


def _tried(parameters: Sequence[Parameter], trials: Sequence[Trial]) -> dict[str, str]:
    """How often each way of each parameter was tried, as `up 2, down 1`."""
    known = {trial.number: trial for trial in trials}
    pairs = [(known[t.parent], t) for t in trials if t.parent is not None and t.parent in known]
    found = {
        p.name: Counter(
            way
            for parent, trial in pairs
            if p.name in parent.config
            for way in p.ways(parent.config[p.name], trial.config[p.name])
        )
        for p in parameters
    }
    return {n: ", ".join(f"{w} {k}" for w, k in ways.items()) for n, ways in found.items() if ways}


def _acts(counts: Mapping[str, int]) -> Counter[str]:
    """How often each hook changed a decision or what the proposer reads."""
    found: Counter[str] = Counter()
    for key, count in counts.items():
        hook, _, effect = key.partition(".")
        found.update({hook: count} if effect in _ACTS else {})
    return found


def _other_metrics(trials: Sequence[Trial], metric: str) -> dict[str, list[str]]:
    names = dict.fromkeys(n for t in trials if t.value is not None for n in t.outcome.metrics)
    names.pop(metric, None)
    return {n: [_number(t.outcome.metrics.get(n)) for t in trials] for n in names}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4g}"


def _decided(trial: Trial) -> str:
    again = "" if trial.duplicate_of is None else f", repeats trial {trial.duplicate_of}"
    return f"{trial.decision}{again}"


def _proposed_by(trials: Sequence[Trial]) -> list[str]:
    """The proposer or a mechanism by name; nothing where all are the proposer's."""
    origins = [trial.proposal.origin for trial in trials]
    if {*origins} <= {PROPOSER, *_NOBODY}:
        return [""] * len(origins)
    names = {PROPOSER: "the proposer", **dict.fromkeys(_NOBODY, "")}
    return [names.get(origin, cell(origin, 60)) for origin in origins]


def _note(trial: Trial, parent: Trial | None) -> str:
    """Why it failed, and whose doing it was."""
    failure = trial.outcome.failure
    said = [] if failure is None else [cell(f"{failure.kind}: {failure.detail}")]
    others = [name for name in trial.caused_by if name != trial.proposal.origin]
    if others:
        said.append(f"because of {', '.join(others)}")
    if trial.displaced is not None and parent is not None:
        base = parent.config
        moves = [f"{n} {printed(base[n])} -> {printed(v)}" for n, v in trial.displaced.items()]  # type: ignore[arg-type]
        said.append(cell(f"in place of {'; '.join(moves) or 'no change'}", 200))
    return "; ".join(said)
