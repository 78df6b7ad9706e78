"""Level 1.5: the language model reads how the search below went and adjusts its settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bilevel.errors import ConfigError, SpaceError
from bilevel.llm import prompts, schemas
from bilevel.llm.prompts import cell
from bilevel.llm.tables import (
    acting,
    best_so_far,
    change_of_metric,
    columns,
    described,
    experiment,
    locked,
    printed,
    same_values,
    trial_table,
)
from bilevel.loop.behaviour import since_gain
from bilevel.parameters import Choice, Text, Value
from bilevel.proposers.llm import STANDS
from bilevel.space import SearchSpace
from bilevel.trace import Decision, Proposal
from bilevel.view import NO_SETTINGS, Brief, View

_TUNED = ("frozen", "strategy", "guidance")
_ORIGIN = "tuner"
_MAX_ANALYSIS = 1_000
_COUNTED: Mapping[str, str] = {
    "single": "A try is an experiment that changed this parameter alone, a gain is a try that was "
    "kept; experiments that changed others with it are counted apart, as joint ones.",
    "joint": "A try is an experiment that changed the parameter, a gain is a try that was kept.",
}
"""Which trials are tries of a parameter, and its gains; by name, as the prompt says it."""


@dataclass(frozen=True)
class Record:
    """The results of the trials that changed one parameter; `joint` ones, which changed others too,
    are not among its tries."""

    tries: int = 0
    gains: int = 0
    failures: int = 0
    best_delta: float | None = None
    joint: int = 0
    joint_gains: int = 0

    def plus(self, kept: bool, failed: bool, joint: bool, best: float | None) -> "Record":
        return Record(
            self.tries + (not joint),
            self.gains + (kept and not joint),
            self.failures + failed,
            best,
            self.joint + joint,
            self.joint_gains + (kept and joint),
        )


def records(view: View, gains: str = "joint") -> dict[str, Record]:
    """Returns one record for each active parameter of the loop that `view` shows, counted by this
    rule of COUNTED."""
    found = {parameter.name: Record() for parameter in view.space.active}
    for trial in view.trace:
        parent = None if trial.parent is None else view.trace[trial.parent]
        delta = change_of_metric(trial, parent)
        names = {name for name, _ in trial.moves}
        joint = gains == "single" and len(names) > 1
        for name in names & set(found):
            best = found[name].best_delta
            if delta is not None and (best is None or view.objective.better(delta, than=best)):
                best = delta
            failed = trial.decision is Decision.FAIL
            found[name] = found[name].plus(trial.kept, failed, joint, best)
    return found


@dataclass(frozen=True)
class TunerLimits:
    """The limits of what a tuner may change in one cycle; the defaults are the paper's (arXiv
    2603.23420)."""

    min_tries: int = 3
    max_freezes: int = 5
    min_active: int = 4

    def apply(
        self, reply: Mapping[str, Any], frozen: Sequence[str], known: Mapping[str, Record]
    ) -> tuple[list[str], list[str]]:
        """Returns the names to be frozen from now on, and what was cut from the reply with
        reasons."""
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
    """The proposer of level 1.5: proposes settings for the loop that `view.below` shows.

    A reply that cannot be used costs nothing: the proposal is empty and gives the reason, and the
    next segment runs with the settings as they are. The hypothesis names what the limits cut.
    `gains` is a rule of COUNTED: whether a joint gain of several parameters counts for each.
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
        gains: str = "joint",
    ) -> None:
        if gains not in _COUNTED:
            raise ConfigError(f"tuner: gains={gains}: expected one of {', '.join(_COUNTED)}")
        self._gains = gains
        self._limits = TunerLimits(min_tries, max_freezes, min_active)
        self._history_shown = history_shown
        self._temperature = temperature

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """Returns one proposal with only the settings that are to differ."""
        below = view.below
        if below is None:
            raise ConfigError("the tuner has no loop below it; use it on a loop over segments")
        if not all(name in view.space for name in _TUNED):
            missing = ", ".join(name for name in _TUNED if name not in view.space)
            return [Proposal({}, f"not tuned: the proposer below has no {missing}", _ORIGIN)]
        known = records(below, self._gains)
        answer = view.ask(
            self._prompt(view, below, brief, known),
            _schema(_strategies(view.space)),
            system=prompts.render("tune_system"),
            temperature=self._temperature,
        )
        if answer.problem:
            said = f"not tuned, the reply could not be used: {answer.problem}"
            return [Proposal({}, said, _ORIGIN, answer.prompt)]
        wanted, cut = self._wanted(answer.value, view, known)
        said = cell(answer.value["analysis"], _MAX_ANALYSIS)
        if cut:
            said += f" [cut: {cell('; '.join(cut), _MAX_ANALYSIS)}]"
        changes = {name: value for name, value in wanted.items() if value != view.base[name]}
        return [Proposal(changes, said, _ORIGIN, answer.prompt)]

    def _wanted(
        self, reply: Mapping[str, Any], view: View, known: Mapping[str, Record]
    ) -> tuple[dict[str, Value], list[str]]:
        """Returns the settings that the reply asks for, within the limits, and what was cut."""
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
            since_gain=_streak(since_gain(below.trace)),
            facts=experiment(below.about),
            counted=_COUNTED[self._gains],
            statistics=_statistics(below, known, _names(view.base["frozen"])),
            locked=locked(below),
            history=trial_table(recent, below),
            settings=_settings(view, below),
            mechanisms=acting(below.mechanisms()),
            stands=STANDS,
            notes=brief.text.strip() or "none",
            min_tries=str(self._limits.min_tries),
            max_freezes=str(self._limits.max_freezes),
            min_active=str(self._limits.min_active),
            strategies=", ".join(_strategies(view.space)),
            max_guidance=str(_max_guidance(view.space)),
        )


def _statistics(below: View, known: Mapping[str, Record], frozen: Sequence[str]) -> str:
    at, meanings = below.base, below.about.meanings
    same = same_values(below.space.active, below)
    joint = [f"{r.joint}, {r.joint_gains} kept" if r.joint else "" for r in known.values()]
    shown = columns(
        {
            "parameter": [*known],
            "value": [cell(printed(at[name])) for name in known],
            "range": [cell(below.space[name].range, 400) for name in known],
            "tries": [str(record.tries) for record in known.values()],
            "gains": [str(record.gains) for record in known.values()],
            "joint": joint,
            "best delta": [
                "" if r.best_delta is None else f"{r.best_delta:+.4g}" for r in known.values()
            ],
            "failures": [str(record.failures) for record in known.values()],
            "status": ["frozen" if name in frozen else "active" for name in known],
            "what it is": [cell(meanings.get(name, "")) for name in known],
        },
        optional=("joint", "what it is"),
    )
    return f"{shown}\n\n{same}" if same else shown


def _streak(streak: int) -> str:
    return f"{streak} experiments, none of them kept" if streak else "no experiment"


def _settings(view: View, below: View) -> str:
    """Returns the present settings as text, the guidance with its date."""
    since = below.since.get("guidance", 0)
    dated = f"\n\nThe guidance was given before trial {since}." if since else ""
    return described(view.base) + dated


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
