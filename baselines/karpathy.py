"""One agent edits the training script itself: a patch is run, and kept or reverted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bilevel.errors import ConfigError
from bilevel.llm.prompts import Prompt, cell, fenced
from bilevel.llm.reply import MAX_HYPOTHESIS
from bilevel.llm.schemas import TEXT, record
from bilevel.llm.tables import best_so_far, change_of_metric, experiment, shown_source
from bilevel.parameters import Text
from bilevel.space import SearchSpace
from bilevel.tasks.edits import Edit, applied, diff, unparsable
from bilevel.trace import FailureKind, Proposal, Trial
from bilevel.view import NO_SETTINGS, Brief, View

_HERE = Path(__file__).parent
_PROPOSE = Prompt(_HERE / "karpathy_propose.md")
_REPAIR = Prompt(_HERE / "karpathy_repair.md")
_MAX_EDITS = 20
SCHEMA = record(
    {
        "hypothesis": TEXT,
        "edits": {
            "type": "array",
            "maxItems": _MAX_EDITS,
            "items": record({"search": TEXT, "replace": TEXT}),
        },
        "script": TEXT,
    }
)


class Karpathy:
    """The loop of karpathy/autoresearch: the model reads the script and the diffs of the last
    `shown` trials, each cut at `diff_chars`, and answers with a patch or a whole file.

    A reply that does not match or parse is asked for again once, with the reason. A trial that
    crashed in its first `quick_steps` steps is mended once: the next trial is the same script with
    the model's correction. Every call and every trial is charged.
    """

    settings = NO_SETTINGS
    edits_texts = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        shown: int = 20,
        diff_chars: int = 2000,
        quick_steps: int = 3,
        temperature: float | None = None,
    ) -> None:
        texts = [p for p in space.active if isinstance(p, Text)]
        if len(texts) != 1 or len(space.parameters) != 1:
            named = ", ".join(p.name for p in space.parameters)
            raise ConfigError(
                f"karpathy edits the text of a script, and this task has the parameters {named}; "
                "choose a task whose one parameter is a script: task=cpu_gpt_code"
            )
        self._name = texts[0].name
        self._shown = shown
        self._diff_chars = diff_chars
        self._quick_steps = quick_steps
        self._temperature = temperature

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        crashed = self._to_mend(view)
        if crashed is not None:
            return [
                self._asked(view, self._repair_prompt(crashed), self._script(crashed), "repair")
            ]
        return [self._asked(view, self._prompt(view, brief), str(view.base[self._name]), "patch")]

    def _to_mend(self, view: View) -> Trial | None:
        """Return the last trial if it crashed within `quick_steps` steps and was no repair
        itself."""
        if not view.trace:
            return None
        last: Trial = view.trace[-1]
        failure = last.outcome.failure
        if failure is None or failure.kind is not FailureKind.CRASH:
            return None
        quick = last.outcome.metrics.get("steps", 0.0) < self._quick_steps
        return last if quick and last.proposal.origin == "patch" else None

    def _asked(self, view: View, prompt: str, current: str, origin: str) -> Proposal:
        def check(reply: Any) -> tuple[str, str]:
            return self._edited(current, reply), cell(reply["hypothesis"], MAX_HYPOTHESIS)

        answer = view.ask(prompt, SCHEMA, check=check, temperature=self._temperature)
        if answer.problem:
            return Proposal({}, origin=origin, prompt=answer.prompt, problem=answer.problem)
        text, hypothesis = answer.value
        return Proposal({self._name: text}, hypothesis, origin, answer.prompt)

    def _edited(self, current: str, reply: dict[str, Any]) -> str:
        """Return the script after the reply's edits. Raises ValueError with a reason for the
        model."""
        if bool(reply["edits"]) == bool(reply["script"].strip()):
            raise ValueError("give either edits or a whole script, and leave the other one empty")
        edits = [Edit(edit["search"], edit["replace"]) for edit in reply["edits"]]
        text = applied(current, edits) if edits else reply["script"].rstrip() + "\n"
        if text == current:
            raise ValueError(f"nothing differs from the current {self._name}")
        problem = unparsable(text, self._name)
        if problem:
            raise ValueError(problem)
        return text

    def _script(self, trial: Trial) -> str:
        return str(trial.config[self._name])

    def _prompt(self, view: View, brief: Brief) -> str:
        recent = brief.trials[-self._shown :] if self._shown else ()
        at = "the baseline" if view.parent is None else f"trial {view.parent.number}"
        if view.parent is not None and view.parent.value is not None:
            at += f" with {view.objective.metric} {view.parent.value:.6g}"
        return _PROPOSE.render(
            name=self._name,
            metric=view.objective.metric,
            better=view.objective.wanted,
            current=at,
            best=best_so_far(view),
            trials_left="unlimited" if view.trials_left is None else str(view.trials_left),
            facts=experiment(view.about),
            script=shown_source(view.source()),
            shown=f"{len(recent)} of {len(view.trace)} shown, each as a diff to what it was built "
            "on.",
            history="\n\n".join(self._account(view, trial) for trial in recent) or "none yet",
            notes=brief.text.strip() or "none",
        )

    def _repair_prompt(self, crashed: Trial) -> str:
        failure, notes = crashed.outcome.failure, crashed.outcome.notes
        return _REPAIR.render(
            name=self._name,
            hypothesis=crashed.proposal.hypothesis or "(none given)",
            script=shown_source(self._script(crashed)),
            error="" if failure is None else failure.detail,
            output=fenced(notes.get("output.txt", "") or "(nothing was printed)"),
        )

    def _account(self, view: View, trial: Trial) -> str:
        """Return one trial of the history as text: its result, hypothesis and diff."""
        parent = None if trial.parent is None else view.trace[trial.parent]
        failure = trial.outcome.failure
        said = "" if trial.value is None else f", {view.objective.metric} {trial.value:.6g}"
        delta = change_of_metric(trial, parent)
        said += "" if delta is None else f" ({delta:+.4g})"
        said += "" if failure is None else f", {failure.kind}: {cell(failure.detail, 400)}"
        if trial.duplicate_of is not None:
            said += f", repeats trial {trial.duplicate_of}"
        head = f"Trial {trial.number}: {trial.decision}{said}"
        why = cell(trial.proposal.hypothesis, MAX_HYPOTHESIS)
        if parent is None:
            return f"{head}. {why}"
        text = diff(self._script(parent), self._script(trial), self._name, lines_around=1)
        if len(text) > self._diff_chars:
            text = text[: self._diff_chars].rstrip() + "\n[... the rest is left out]"
        return f"{head}. {why}\n\n{fenced(text, 'diff')}" if text else f"{head}. {why}"
