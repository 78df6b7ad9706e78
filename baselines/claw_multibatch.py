"""Three roles propose a round together; after flat rounds the search refines or starts over."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bilevel.baselines.lessons import Lesson, weightiest
from bilevel.baselines.situation import last, locked, situation
from bilevel.errors import ConfigError
from bilevel.llm.prompts import Prompt, cell
from bilevel.llm.reply import MAX_HYPOTHESIS, by_name
from bilevel.llm.schemas import TEXT, changes, record
from bilevel.llm.tables import printed
from bilevel.space import Config, SearchSpace, canonical
from bilevel.trace import Proposal, Trial, elites
from bilevel.view import NO_SETTINGS, Answer, Brief, View

_HERE = Path(__file__).parent
_PROPOSE = Prompt(_HERE / "claw_propose.md")
_DECIDE = Prompt(_HERE / "claw_decide.md")
ROLES: Mapping[str, str] = {
    "innovator": "You look for a bold change that nobody has tried.",
    "pragmatist": "You look for the change that the evidence makes most likely to help.",
    "contrarian": "You doubt what the others take for settled, and test the opposite.",
}
_STEPS: Mapping[str, str] = {
    "smaller": "Recent rounds did not help: take smaller steps from the current values.",
    "larger": "Recent rounds did not help: take larger steps from the current values.",
}


class ClawMultibatch:
    """A proposer that asks an innovator, a pragmatist and a contrarian for one candidate each,
    shown the last trials and the weightiest lessons. One that was run before is asked for again,
    once.

    After `flat_rounds` rounds without a gain the model decides: REFINE, with smaller or larger
    steps, or PIVOT, at most `max_pivots` times, back to the baseline with the history kept; the
    trials after a pivot build on the best of them. A round (`batch`) is a candidate of each role.

    AutoResearchClaw's batch mode as arXiv 2603.23420 describes it; a reconstruction, since its own
    code reads the setting and does not use it.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        space: SearchSpace,
        *,
        shown: int = 20,
        lessons_shown: int = 5,
        half_life: float = 30.0,
        flat_rounds: int = 2,
        max_pivots: int = 2,
        max_changes: int = 3,
        temperature: float | None = None,
        batch: int = len(ROLES),
    ) -> None:
        if batch != len(ROLES):
            raise ConfigError(
                f"claw_multibatch: inner.batch={batch}: expected {len(ROLES)}, "
                f"a candidate of each role ({', '.join(ROLES)})"
            )
        if min(flat_rounds, max_changes) < 1 or half_life <= 0:
            raise ConfigError(
                f"claw_multibatch: flat_rounds={flat_rounds}, max_changes={max_changes}, "
                f"half_life={half_life}: expected whole numbers of at least 1, and above 0"
            )
        self._shown = shown
        self._lessons_shown = lessons_shown
        self._half_life = half_life
        self._flat_rounds = flat_rounds
        self._max_pivots = max_pivots
        self._max_changes = min(max_changes, len(space.active))
        self._temperature = temperature
        self.lessons: list[Lesson] = []
        self.pivots = 0
        self._branch = 0  # the first trial of this line of work
        self._told = 0
        self._flat = 0
        self._base: Config = {}
        self._value: float | None = None  # of the base
        self._advice = "none"

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        self._learn(view)
        if self._flat >= self._flat_rounds:
            self._decide(view)
        taken: set[str] = set()
        left = len(ROLES) if view.trials_left is None else view.trials_left
        return [self._candidate(view, brief, role, taken) for role in list(ROLES)[:left]]

    def _learn(self, view: View) -> None:
        """Adds lessons from the last round, and counts the rounds that brought no gain in this
        branch."""
        news = view.trace[self._told :]
        if not news and self._base:
            return
        told = [trial for trial in news if trial.number]
        self.lessons += [_lesson(view, trial, self._base, self._value) for trial in told]
        self._told = len(view.trace)
        best = self._best_of_branch(view)
        base, self._value = (view.base, None) if best is None else (best.config, best.value)
        self._flat = self._flat + 1 if base == self._base else 0
        self._base = base

    def _best_of_branch(self, view: View) -> Trial | None:
        if not self._branch:
            return view.parent
        branch = [*view.trace[:1], *view.trace[self._branch :]]
        return elites(branch, view.objective, 1)[0]

    def _decide(self, view: View) -> None:
        left = self._max_pivots - self.pivots
        answer = view.ask(
            _DECIDE.fill(
                self._common(view, view.trace),
                flat=str(self._flat),
                baseline=f"{view.trace[0].value:.6g}",
                pivots_left=str(left),
                lessons=self._listed(view, "decide"),
            ),
            _decision_schema(["REFINE", "PIVOT"] if left > 0 else ["REFINE"]),
            temperature=self._temperature,
        )
        self._flat = 0
        if answer.problem:
            said = f"the decision could not be used, the search goes on as it is: {answer.problem}"
            self._note(view, "decide", "reply", "error", said)
            return
        reason = cell(answer.value["reason"])
        if answer.value["decision"] == "PIVOT":
            self.pivots += 1
            self._branch = view.trial
            self._base, self._value = view.trace[0].config, view.trace[0].value
            self._advice = f"A new line of work starts from the baseline: {reason}"
            self._note(view, "decide", "pivot", "info", f"the line before was left: {reason}")
        else:
            self._advice = f"{_STEPS[answer.value['steps']]} {reason}"

    def _candidate(self, view: View, brief: Brief, role: str, taken: set[str]) -> Proposal:
        """Return a role's proposal; a repeated one is asked for again once, and is charged if it
        stays."""
        known = {canonical(dict(trial.config)) for trial in view.trace} | taken
        answer = self._ask(view, brief, role)
        if not answer.problem and canonical(answer.value[0]) in known:
            said = f"{_moves(answer.value[0], self._base)} was proposed again"
            self._note(view, "propose", "duplicate", "error", said)
            again = f"You proposed {_moves(answer.value[0], self._base)}, which was run already."
            answer = self._ask(view, brief.add(f"{again} Propose something else."), role)
        if answer.problem:
            self._note(view, "propose", "reply", "error", f"{role}: {cell(answer.problem)}")
            return Proposal({}, origin=role, prompt=answer.prompt, problem=answer.problem)
        config, hypothesis = answer.value
        taken.add(canonical(config))
        changes = {name: value for name, value in config.items() if value != view.base[name]}
        return Proposal(changes, hypothesis, role, answer.prompt)

    def _ask(self, view: View, brief: Brief, role: str) -> Answer:
        def check(reply: Any) -> tuple[dict[str, Any], str]:
            config = {**self._base, **view.space.check(by_name(reply["changes"]))}
            if config == dict(self._base):
                raise ValueError("nothing differs from the current values")
            return config, cell(reply["hypothesis"], MAX_HYPOTHESIS)

        recent = last(brief.trials, self._shown)
        prompt = _PROPOSE.render(
            **self._common(view, recent),
            role=role,
            stance=ROLES[role],
            locked=locked(view, self._base),
            shown=f"{len(recent)} of {len(view.trace)} shown.",
            lessons=self._listed(view, "propose"),
            advice=self._advice,
            notes=brief.text.strip() or "none",
            max_changes=str(self._max_changes),
        )
        schema = _proposal_schema(view.space, self._max_changes)
        return view.ask(prompt, schema, check=check, temperature=self._temperature)

    def _common(self, view: View, trials: Sequence[Trial]) -> dict[str, str]:
        return situation(view, self._base, last(trials, self._shown))

    def _listed(self, view: View, stage: str) -> str:
        found = weightiest(
            self.lessons,
            stage,
            view.trial,
            count=self._lessons_shown,
            half_life=self._half_life,
        )
        return "\n".join(dict.fromkeys(map(str, found))) or "none yet"

    def _note(self, view: View, stage: str, category: str, severity: str, description: str) -> None:
        self.lessons.append(Lesson(stage, category, severity, description, view.trial))


def _lesson(view: View, trial: Trial, base: Config, than: float | None) -> Lesson:
    """Return the lesson of a trial's outcome, compared with the base it was proposed from and
    its value `than`."""
    value, failure = trial.value, trial.outcome.failure
    moves = _moves(trial.config, base)
    if failure is not None:
        said = f"{moves}: {cell(failure.detail)}"
        return Lesson("evaluate", str(failure.kind), "error", said, trial.number)
    result = f"{moves}: {view.objective.metric} {value:.6g}"
    gained = value is not None and (than is None or view.objective.better(value, than=than))
    return Lesson("evaluate", "gain" if gained else "no gain", "info", result, trial.number)


def _moves(config: Mapping[str, Any], base: Config) -> str:
    moved = [
        f"{name} {printed(base[name])} -> {printed(value)}"
        for name, value in config.items()
        if base and base[name] != value
    ]
    return cell("; ".join(moved), 400) or "no change"


def _proposal_schema(space: SearchSpace, max_changes: int) -> dict[str, Any]:
    names = [parameter.name for parameter in space.active]
    return record({"hypothesis": TEXT, "changes": changes(names, most=max_changes)})


def _decision_schema(decisions: Sequence[str]) -> dict[str, Any]:
    return record(
        {
            "decision": {"type": "string", "enum": list(decisions)},
            "steps": {"type": "string", "enum": list(_STEPS)},
            "reason": {"type": "string"},
        }
    )
