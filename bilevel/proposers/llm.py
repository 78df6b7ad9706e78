"""A language model as the proposer of level 1: it reads the search, and proposes changes with
reasons."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bilevel.llm import prompts, schemas
from bilevel.llm.reply import MAX_HYPOTHESIS, by_name
from bilevel.llm.tables import (
    acting,
    best_so_far,
    experiment,
    locked,
    parameter_list,
    printed,
    same_values,
    trial_table,
)
from bilevel.parameters import Choice, Float, Int, Parameter, Subset, Text, Value
from bilevel.space import SearchSpace
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View

ACTIVE_AT_LEAST = 4
_MAX_GUIDANCE = 1_000
STANDS = "Always"  # how a line of guidance begins that is shown until it is replaced
_KEPT = "is kept only if it improves the metric"
_STRATEGIES: Mapping[str, str] = {
    "balanced": "balanced: follow up what has helped, and now and then try something untried.",
    "explore": "explore: prefer parameters and directions that were tried rarely or never, and "
    "take larger steps.",
    "exploit": "exploit: refine what has helped, with small steps from the current configuration.",
    "combine": "combine: put together changes that looked promising separately.",
}


class LLMProposer:
    """A proposer that asks the search's model once for one proposal; level 1.5 tunes its settings.

    `frozen` parameters are taken from the model, `history_shown` is how many of the brief's most
    recent trials it reads. The arguments are the baseline of the settings, but for `kept`: what the
    prompt says becomes of a proposal, which has to fit the acceptance policy.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        temperature: float = 0.7,
        history_shown: int = 30,
        max_changes: int = 3,
        strategy: str = "balanced",
        guidance: str = "",
        kept: str = _KEPT,
    ) -> None:
        self._kept = kept
        names = tuple(parameter.name for parameter in space.active)
        self.settings = SearchSpace(
            (
                Subset("frozen", names, spare=ACTIVE_AT_LEAST),
                Choice("strategy", tuple(_STRATEGIES), strategy),
                Text("guidance", _MAX_GUIDANCE, guidance),
                Float("temperature", 0.0, 1.5, temperature),
                Int("history_shown", 0, 200, history_shown),
                Int("max_changes", 1, 3, max_changes),
            )
        )

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """Returns one proposal; an unusable reply gives one with its `problem`, charged as a
        trial."""
        settings: dict[str, Any] = {**self.settings.baseline, **view.settings}
        frozen: tuple[str, ...] = settings["frozen"]

        def check(reply: Any) -> tuple[dict[str, Value], str]:
            return _changes(view, frozen, reply["changes"]), _one_line(reply["hypothesis"])

        answer = view.ask(
            _prompt(view, brief, settings, self._kept),
            _schema(view.space, frozen, settings["max_changes"]),
            check=check,
            system=prompts.render("propose_system"),
            temperature=settings["temperature"],
        )
        if answer.problem:
            return [Proposal({}, origin="llm", prompt=answer.prompt, problem=answer.problem)]
        changes, hypothesis = answer.value
        return [Proposal(changes, hypothesis, origin="llm", prompt=answer.prompt)]


def _changes(
    view: View, frozen: tuple[str, ...], listed: Sequence[Mapping[str, Any]]
) -> dict[str, Value]:
    """Returns the legal changes that differ from the configuration built on. Raises SpaceError for
    illegal ones, and ValueError where none is left."""
    legal = view.space.check(by_name(listed), frozen=frozen)
    changed = {name: value for name, value in legal.items() if value != view.base[name]}
    if not changed:
        now = ", ".join(f"{name}={printed(view.base[name])}" for name in legal)
        raise ValueError(f"nothing differs from the current configuration ({now})")
    return changed


def _schema(space: SearchSpace, frozen: tuple[str, ...], max_changes: int) -> dict[str, Any]:
    names = [parameter.name for parameter in space.active if parameter.name not in frozen]
    return schemas.record(
        {"hypothesis": schemas.TEXT, "changes": schemas.changes(names, most=max_changes)}
    )


def _prompt(view: View, brief: Brief, settings: Mapping[str, Any], kept: str) -> str:
    frozen = settings["frozen"]
    count = settings["history_shown"]
    shown = brief.trials[-count:] if count else ()
    active = [p for p in view.space.active if p.name not in frozen]
    at = "the baseline" if view.parent is None else f"trial {view.parent.number}"
    if view.parent is not None and view.parent.value is not None:
        at += f" with {view.objective.metric} {view.parent.value:.6g}"
    return prompts.render(
        "propose",
        kept=kept,
        metric=view.objective.metric,
        better=view.objective.wanted,
        current=at,
        best=best_so_far(view),
        trials_left="unlimited" if view.trials_left is None else str(view.trials_left),
        facts=experiment(view.about),
        active=_active(active, view, brief.trials if count else ()),
        frozen=", ".join(frozen) or "none",
        locked=locked(view),
        shown=f"{len(shown)} of {len(view.trace)} shown.",
        history=trial_table(shown, view),
        mechanisms=acting(view.mechanisms()),
        strategy=_STRATEGIES[settings["strategy"]],
        guidance=standing(settings["guidance"], view, brief.trials) or "none",
        notes=brief.text.strip() or "none",
        max_changes=str(settings["max_changes"]),
    )


def _active(active: Sequence[Parameter], view: View, trials: Sequence[Trial]) -> str:
    listed = parameter_list(active, view.base, view.about.meanings, trials)
    same = same_values(active, view)
    return f"{listed}\n\n{same}" if same else listed


def standing(guidance: str, view: View, trials: Sequence[Trial]) -> str:
    """Returns the guidance as the prompt shows it: dated, and without the lines that name only
    parameters which were changed since, unless they begin with STANDS. Guidance that no level gave
    is returned whole."""
    since = view.since.get("guidance", 0)
    if not since or not guidance.strip():
        return guidance.strip()
    moved = {name for trial in trials if trial.number >= since for name, _ in trial.moves}
    names = [parameter.name for parameter in view.space.parameters]
    left = []
    for line in filter(str.strip, guidance.splitlines()):
        named = {name for name in names if re.search(rf"\b{re.escape(name)}\b", line)}
        if line.startswith(STANDS) or not named or not named <= moved:
            left.append(line)
    said = "\n".join(left) or "(all of it was tried)"
    return f"(given before trial {since})\n{said}"


def _one_line(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MAX_HYPOTHESIS else line[: MAX_HYPOTHESIS - 3] + "..."
