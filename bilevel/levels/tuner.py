"""Level 1.5: the language model reads how the search below has gone and adjusts its settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bilevel.errors import ConfigError, SpaceError
from bilevel.llm import prompts, schemas
from bilevel.llm.prompts import cell
from bilevel.llm.tables import best_so_far, change_of_metric, described, printed, table, trial_table
from bilevel.parameters import Choice, Text, Value
from bilevel.space import SearchSpace
from bilevel.trace import Decision, Proposal
from bilevel.view import NO_SETTINGS, Brief, View

TUNED = ("frozen", "strategy", "guidance")
ORIGIN = "tuner"
MAX_ANALYSIS = 1_000


@dataclass(frozen=True)
class Record:
    """What the trials that changed one parameter have shown."""

    tries: int = 0
    gains: int = 0
    failures: int = 0
    best_delta: float | None = None


def records(view: View) -> dict[str, Record]:
    """One record for each active parameter of the loop that `view` pictures."""
    found = {parameter.name: Record() for parameter in view.space.active}
    for trial in view.trace:
        parent = None if trial.parent is None else view.trace[trial.parent]
        delta = change_of_metric(trial, parent)
        for name in {name for name, _ in trial.moves} & set(found):
            old = found[name]
            best = old.best_delta
            if delta is not None and (best is None or view.objective.better(delta, than=best)):
                best = delta
            found[name] = Record(
                old.tries + 1,
                old.gains + trial.kept,
                old.failures + (trial.decision is Decision.FAIL),
                best,
            )
    return found


@dataclass(frozen=True)
class Limits:
    """What a tuner may do in one cycle; the defaults are the paper's (arXiv 2603.23420)."""

    min_tries: int = 3
    max_freezes: int = 5
    min_active: int = 4

    def apply(
        self, reply: Mapping[str, Any], frozen: Sequence[str], known: Mapping[str, Record]
    ) -> tuple[list[str], list[str]]:
        """The names to be frozen from now on, and what was cut from the reply with reasons."""
        cut = [f"unfreeze {name}: not frozen" for name in reply["unfreeze"] if name not in frozen]
        after = [name for name in frozen if name not in reply["unfreeze"]]
        fresh = 0
        for name in dict.fromkeys(reply["freeze"]):
            if name in after:
                continue
            problem = self._problem(name, name in reply["unfreeze"], known)
            if not problem and fresh >= self.max_freezes:
                problem = f"more than {self.max_freezes} freezes"
            if not problem and len(known) - len(after) <= self.min_active:
                problem = f"fewer than {self.min_active} parameters would stay active"
            if problem:
                cut.append(f"freeze {name}: {problem}")
            else:
                after.append(name)
                fresh += 1
        return [name for name in known if name in after], cut

    def _problem(self, name: str, both: bool, known: Mapping[str, Record]) -> str:
        if name not in known:
            return "not an active parameter"
        if both:
            return "also in unfreeze"
        if known[name].tries < self.min_tries:
            return f"tried {known[name].tries} of {self.min_tries} times"
        return f"gained {known[name].gains} times" if known[name].gains else ""


class LLMTuner:
    """A proposer on the loop above: it proposes settings for the loop that `view.below` shows.

    A reply that cannot be used costs nothing: the proposal is empty and says why, and the next
    segment runs with the settings as they are. What its limits cut is told in the hypothesis.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        *,
        min_tries: int = 3,
        max_freezes: int = 5,
        min_active: int = 4,
        history_shown: int = 30,
        temperature: float | None = None,
    ) -> None:
        self._limits = Limits(min_tries, max_freezes, min_active)
        self._history_shown = history_shown
        self._temperature = temperature

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """One proposal that changes only the settings which are to differ."""
        below = view.below
        if below is None:
            raise ConfigError("the tuner has no loop below it; use it on a loop over segments")
        if not all(name in view.space for name in TUNED):
            missing = ", ".join(name for name in TUNED if name not in view.space)
            return [Proposal({}, f"not tuned: the proposer below has no {missing}", ORIGIN)]
        known = records(below)
        answer = view.ask(
            self._prompt(view, below, brief, known),
            _schema(_strategies(view.space)),
            system=prompts.render("tune_system"),
            temperature=self._temperature,
        )
        if answer.problem:
            said = f"not tuned, the reply could not be used: {answer.problem}"
            return [Proposal({}, said, ORIGIN, answer.prompt)]
        wanted, cut = self._wanted(answer.value, view, known)
        said = cell(answer.value["analysis"], MAX_ANALYSIS)
        if cut:
            said += f" [cut: {cell('; '.join(cut), MAX_ANALYSIS)}]"
        changes = {name: value for name, value in wanted.items() if value != view.base[name]}
        return [Proposal(changes, said, ORIGIN, answer.prompt)]

    def _wanted(
        self, reply: Mapping[str, Any], view: View, known: Mapping[str, Record]
    ) -> tuple[dict[str, Value], list[str]]:
        """The settings as the reply wants them, within the limits, and what was cut."""
        frozen, cut = self._limits.apply(reply, _names(view.base["frozen"]), known)
        guidance = reply["guidance"].strip()
        longest = _max_guidance(view.space)
        if len(guidance) > longest:
            cut.append(f"guidance: {len(guidance)} characters, {longest} allowed")
            guidance = guidance[:longest]
        wanted: dict[str, Value] = {"strategy": reply["strategy"], "guidance": guidance}
        try:
            wanted["frozen"] = view.space["frozen"].coerce(frozen)
        except SpaceError as error:
            cut.append(f"freeze: {error}")
        return wanted, cut

    def _prompt(self, view: View, below: View, brief: Brief, known: Mapping[str, Record]) -> str:
        baseline = below.trace[0].value if below.trace else None
        count = self._history_shown
        recent = below.trace[-count:] if count else ()
        return prompts.render(
            "tune",
            metric=below.objective.metric,
            better=below.objective.wanted,
            best=best_so_far(below),
            baseline="none" if baseline is None else f"{baseline:.6g}",
            trials_run=str(max(0, len(below.trace) - 1)),
            trials_left="unlimited" if below.trials_left is None else str(below.trials_left),
            statistics=_statistics(below, known, _names(view.base["frozen"])),
            history=trial_table(recent, below),
            settings=described(view.base),
            notes=brief.text.strip() or "none",
            min_tries=str(self._limits.min_tries),
            max_freezes=str(self._limits.max_freezes),
            min_active=str(self._limits.min_active),
            strategies=", ".join(_strategies(view.space)),
            max_guidance=str(_max_guidance(view.space)),
        )


def _statistics(below: View, known: Mapping[str, Record], frozen: Sequence[str]) -> str:
    at = below.base
    rows = [
        (
            name,
            printed(at[name]),
            str(record.tries),
            str(record.gains),
            "" if record.best_delta is None else f"{record.best_delta:+.4g}",
            str(record.failures),
            "frozen" if name in frozen else "active",
        )
        for name, record in known.items()
    ]
    return table("| parameter | value | tries | gains | best delta | failures | status |", rows)


def _names(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _strategies(space: SearchSpace) -> list[str]:
    strategy = space["strategy"]
    return [str(choice) for choice in strategy.choices] if isinstance(strategy, Choice) else []


def _max_guidance(space: SearchSpace) -> int:
    guidance = space["guidance"]
    return guidance.max_chars if isinstance(guidance, Text) else 0


def _schema(strategies: Sequence[str]) -> dict[str, Any]:
    names = {"type": "array", "items": schemas.TEXT}
    return schemas.record(
        {
            "analysis": schemas.TEXT,
            "freeze": names,
            "unfreeze": names,
            "strategy": {**schemas.TEXT, "enum": list(strategies)},
            "guidance": schemas.TEXT,
        }
    )
