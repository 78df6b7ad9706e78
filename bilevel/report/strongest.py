"""Which classical search came out best: what an arm with a language model has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from bilevel.config.arms import CLASSICAL, controls
from bilevel.report.alike import refusal
from bilevel.report.comparisons import OUTCOMES, roles_of
from bilevel.report.numbers import SearchRow
from bilevel.trace import Objective


@dataclass(frozen=True)
class Strongest:
    """The classical search with the best mean `value` of the headline, among the study's
    classical arms `of`; no `arm` where they were not run alike, for the reason given."""

    of: tuple[str, ...]
    arm: str = ""
    outcome: str = ""
    value: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"strongest classical search: none is named ({self.reason})"
        said = f"strongest classical search: {self.arm} ({self.outcome} {self.value:+.4f}"
        if len(self.of) == 1:
            return f"{said}, the only one here)"
        return (
            f"{said}, of {', '.join(self.of)}); picked by its result, which is paid for: each of "
            "them is a control, and verdicts are corrected for all"
        )


def strongest(rows: Sequence[SearchRow], objective: Objective) -> Strongest | None:
    """Return the strongest classical search; None where no classical search of the study
    measured anything."""
    outcome, of = next(
        ((name, of) for name, of in OUTCOMES.items() if any(of(row) is not None for row in rows)),
        ("", None),
    )
    if of is None:
        return None
    arms = {arm: list(group) for arm, group in groupby(rows, key=lambda row: row.arm)}
    values = {
        arm: fmean(known)
        for arm in controls(roles_of(rows), [CLASSICAL])
        if (known := [v for row in arms.get(arm, ()) if (v := of(row)) is not None])
    }
    if not values:
        return None
    first, *others = values
    for other in others:
        if apart := refusal(arms[first], arms[other]):
            return Strongest(tuple(values), reason=apart)
    best = min(values, key=lambda arm: objective.loss(values[arm]))
    return Strongest(tuple(values), best, outcome, values[best])
