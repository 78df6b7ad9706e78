"""The best mechanism of every kind of behaviour, among those that a search has measured.

Quality with diversity, as in MAP-Elites (Mouret and Clune, arXiv:1504.04909, 2015): a text that is
no incumbent is kept where it does something else, and two of them may be combined.
"""

from bilevel.discovery.accounts import MECHANISM
from bilevel.trace import Trial
from bilevel.view import View

_Niche = tuple[tuple[str, ...], str]
"""The hooks that a mechanism has, and how much of a search it decides."""
_SHARES = ((0.1, "hardly any"), (0.6, "some"), (1.01, "nearly all"))


def _niche(trial: Trial) -> _Niche:
    """Returns the niche of a trial that was measured."""
    made = trial.proposal.mechanism
    taken = trial.outcome.metrics.get("taken", 0.0)
    return (made.hooks if made else (), next(name for most, name in _SHARES if taken < most))


def archive(view: View) -> dict[_Niche, Trial]:
    """Returns the best of each niche, in the order in which niches were first filled; texts that
    were stopped early are left out, for their values are estimates."""
    found: dict[_Niche, Trial] = {}
    for trial in view.trace:
        if trial.value is None or not trial.config[MECHANISM]:
            continue
        if trial.outcome.metrics.get("stopped_early"):
            continue
        best = found.get(_niche(trial))
        if best is None or view.objective.better(trial.value, than=best.value or 0.0):
            found[_niche(trial)] = trial
    return found


def parents(view: View) -> list[Trial]:
    """Returns two texts to combine, drawn from the archive; the only one, or none, where there are
    no two."""
    members = list(archive(view).values())
    return view.rng.sample(members, min(2, len(members)))
