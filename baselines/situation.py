"""How a search stands, as the prompts of other people's searches show it."""

from collections.abc import Sequence

from bilevel.llm.tables import best_so_far, experiment, parameter_list, printed, trial_table
from bilevel.space import Config
from bilevel.trace import Trial
from bilevel.view import View


def situation(view: View, base: Config, trials: Sequence[Trial]) -> dict[str, str]:
    """Return the values of the placeholders that all these prompts have; `base` holds the
    current values."""
    return {
        "metric": view.objective.metric,
        "better": view.objective.wanted,
        "best": best_so_far(view),
        "trials_left": "unlimited" if view.trials_left is None else str(view.trials_left),
        "facts": experiment(view.about, source=False),
        "active": parameter_list(view.space.active, base, view.about.meanings),
        "history": trial_table(trials, view),
    }


def locked(view: View, base: Config) -> str:
    return ", ".join(f"{n}={printed(base[n])}" for n in view.space.locked) or "none"


def last(trials: Sequence[Trial], count: int) -> Sequence[Trial]:
    """Return the `count` most recent trials."""
    return trials[-count:] if count else ()
