"""Tells where a mechanism is from and what its search knows of it, a paragraph each."""

import ast
from collections.abc import Iterator
from statistics import fmean

from bilevel import syntax
from bilevel.discovery.cells import Difference, level, paired, read
from bilevel.discovery.written import Written
from bilevel.llm import prompts
from bilevel.search.confirmation import Confirmation

_STAND_IN = (
    "The model was the scripted stand-in: the text is one of its templates, and no evidence of "
    "what a language model would write."
)


def provenance(found: Written) -> list[str]:
    """What it is, in its own words, and then what the search recorded of it."""
    told = _of_a_candidate(found) if found.is_searched_for else _of_a_session(found)
    stand_in = [_STAND_IN] if found.search.stand_in else []
    return [*_described(found), _origin(found), *stand_in, *told]


def _described(found: Written) -> list[str]:
    """The text's own docstring, or else the specification of its behaviour."""
    made = found.invention
    own = ast.get_docstring(syntax.parse(made.source))
    return own.split("\n\n") if own else [f"{made.name}: {made.behaviour}"]


def _origin(found: Written) -> str:
    search, trial, model = found.search, found.by.trial, found.model
    where = f"as trial {trial.number} ({trial.decision})"
    if not found.is_searched_for:
        first = int(trial.outcome.metrics["first_trial"])
        where = f"in session {trial.number} of level {found.by.level:g}, after trial {first - 1}"
    unfinished = "" if found.complete else " The search had not ended."
    return (
        f"Written by {model['model']} ({model['name']}) in study={search.study} "
        f"arm={search.arm} seed={search.seed} on task {search.task}, {where}.{unfinished}"
    )


def _of_a_session(found: Written) -> Iterator[str]:
    made, outcome = found.invention, found.by.trial.outcome
    suggested = "suggested" if made.domain_in_prompt else "did not suggest"
    yield (
        f"Domain: {made.domain} (the prompt {suggested} it). Carrier: {made.carrier}. Texts "
        f"until one was admitted: {len(made.attempts)}."
    )
    yield f"Bottleneck, as the model saw it: {made.bottleneck}"
    yield f"Behaviour, as specified: {made.behaviour}"
    yield f"Prompts, by digest: {_prompts(found)}."
    yield _activity(found)
    if "judgement" in outcome.notes:
        yield (
            f"Judgement of {outcome.notes['judgement'].strip()}; {found.by.trial.decision} "
            "(one segment of one search: no evidence)."
        )


def _of_a_candidate(found: Written) -> Iterator[str]:
    made, trial = found.invention, found.by.trial
    yield f"Carrier: {made.carrier}. Texts until one was admitted: {len(made.attempts)}."
    yield f"Idea: {made.behaviour}"
    yield f"Prompts, by digest: {_prompts(found)}."
    cells = read(trial.outcome.notes)
    if cells:
        early = ", stopped early" if trial.outcome.metrics.get("stopped_early") else ""
        ahead = paired(cells, read(found.baseline.outcome.notes))
        yield (
            f"On the tasks that were searched ({len(ahead.by_task)} tasks, {len(cells)} "
            f"searches{early}): gain {level(cells).mean:.3f}, {ahead} against none; it decided "
            f"{trial.outcome.metrics['taken']:.0%} of the trials."
        )
    measured = {"The same on fresh seeds": found.confirmation, "On tasks held out": found.held_out}
    told = [f"{where}: {_ahead(what)} against none." for where, what in measured.items() if what]
    yield " ".join(told) or "It is not the best of its search, and was not measured again."


def _ahead(found: Confirmation) -> str:
    """The difference from none by task, a mean over the fresh seeds."""
    seeds = [
        paired(read(best.notes), read(none.notes)).by_task
        for best, none in zip(found.best, found.baseline, strict=True)
        if best.value is not None and none.value is not None
    ]
    if not seeds:
        return "no value"
    tasks = Difference({task: fmean(seed[task] for seed in seeds) for task in seeds[0]})
    return f"{tasks} ({len(tasks.by_task)} tasks, fresh seeds: {len(seeds)})"


def _prompts(found: Written) -> str:
    asked = [call for call in found.by.calls if not call.key.endswith("/repair")]
    digests = [prompts.digest(*(m["content"] for m in call.messages)) for call in asked]
    names = [call.purpose.rpartition("/")[2] for call in asked]
    return ", ".join(f"{name} {digest}" for name, digest in zip(names, digests, strict=True))


def _activity(found: Written) -> str:
    record = found.attached
    if record is None:
        return "It was not attached in that search."
    counts = ", ".join(f"{label} {count}" for label, count in record.counts.items()) or "none"
    return f"As long as it was attached it was {record.state}; hook calls by effect: {counts}."
