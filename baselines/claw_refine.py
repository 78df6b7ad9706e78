"""One full rewrite of the configuration a step, one repair before it runs and one after a crash."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bilevel.baselines.results import was_tried
from bilevel.baselines.situation import last, locked, situation
from bilevel.llm.prompts import Prompt, cell
from bilevel.llm.schemas import TEXT, changes, record
from bilevel.llm.tables import changed
from bilevel.space import Config, SearchSpace
from bilevel.trace import Proposal, Trial
from bilevel.view import NO_SETTINGS, Brief, View

_HERE = Path(__file__).parent
_REWRITE = Prompt(_HERE / "claw_rewrite.md")
_REPAIR = Prompt(_HERE / "claw_repair.md")
REWRITTEN, REPAIRED = "rewrite", "repair"  # whose proposal a trial was
_MAX_PLAN = 400


class ClawRefine:
    """A proposer that rewrites the whole incumbent, every active parameter. A reply that cannot be
    used is asked for again once, with what is wrong with it, before anything runs; a rewrite that
    failed while it ran is shown to the model with its failure, and its repair is the next trial,
    charged as any other. A repair that fails as well is given up. Use it with greedy acceptance,
    which keeps what is strictly better.

    Stage 13 of AutoResearchClaw; a reconstruction: its rewrites are of a project's code, here of
    the values that the search space allows, and it stops after ten rewrites, here with the budget.
    """

    settings = NO_SETTINGS

    def __init__(
        self, space: SearchSpace, *, shown: int = 20, temperature: float | None = None
    ) -> None:
        self._shown = shown
        self._temperature = temperature
        self._repaired = 0  # the last crashed trial that was shown to the model
        self._schema = _schema(space)

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        crashed = self._crashed(view)
        if crashed is None:
            return [self._written(view, view.base, self._rewrite(view, brief), REWRITTEN)]
        self._repaired = crashed.number
        asked = self._repair(view, brief, crashed)
        return [self._written(view, crashed.config, asked, REPAIRED)]

    def _crashed(self, view: View) -> Trial | None:
        """Return the last trial if it is a rewrite that failed while it ran and is not repaired
        yet."""
        trial = view.trace[-1] if view.trace else None
        if trial is None or trial.proposal.origin != REWRITTEN or trial.number <= self._repaired:
            return None
        return trial if trial.value is None and was_tried(trial) else None

    def _written(self, view: View, before: Config, prompt: str, origin: str) -> Proposal:
        """Return the model's configuration as a proposal; an unusable reply becomes its problem."""

        def check(reply: Any) -> tuple[dict[str, Any], str]:
            listed = {line["parameter"]: line["value"] for line in reply["configuration"]}
            missing = [p.name for p in view.space.active if p.name not in listed]
            if missing:
                raise ValueError(f"the configuration lacks {', '.join(missing)}; list each once")
            config = view.space.check(listed)
            if all(before[name] == value for name, value in config.items()):
                raise ValueError("nothing differs from the current values")
            return dict(config), cell(reply["plan"], _MAX_PLAN)

        answer = view.ask(prompt, self._schema, check=check, temperature=self._temperature)
        if answer.problem:
            return Proposal({}, origin=origin, prompt=answer.prompt, problem=answer.problem)
        config, plan = answer.value
        differing = {name: value for name, value in config.items() if value != view.base[name]}
        return Proposal(differing, plan, origin, answer.prompt)

    def _rewrite(self, view: View, brief: Brief) -> str:
        recent = last(brief.trials, self._shown)
        return _REWRITE.fill(
            situation(view, view.base, recent),
            locked=locked(view, view.base),
            shown=f"{len(recent)} of {len(view.trace)} shown.",
            notes=brief.text.strip() or "none",
        )

    def _repair(self, view: View, brief: Brief, crashed: Trial) -> str:
        parent = None if crashed.parent is None else view.trace[crashed.parent]
        failure = crashed.outcome.failure
        return _REPAIR.fill(
            situation(view, crashed.config, last(brief.trials, self._shown)),
            locked=locked(view, crashed.config),
            failure="" if failure is None else f"{failure.kind}: {failure.detail}",
            changed=changed(crashed, parent),
            notes=brief.text.strip() or "none",
        )


def _schema(space: SearchSpace) -> dict[str, Any]:
    names = [parameter.name for parameter in space.active]
    return record({"plan": TEXT, "configuration": changes(names, most=len(names), least=1)})
