"""Which member of a portfolio proposes next: a bandit with forgetting, rebuilt from the trace."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from bilevel.trace import Objective, Trace

_PASSED = re.compile(r"\[([^\[\]:]+) passed over: [^\[\]]*\] ")
_REASON_CHARS = 200


@dataclass(frozen=True)
class MemberCredit:
    """How often a member's trials were a new best, and how often not, both forgotten by and by."""

    improved: float = 0.0
    not_improved: float = 0.0

    def forgotten(self, forgetting: float) -> "MemberCredit":
        return MemberCredit(self.improved * forgetting, self.not_improved * forgetting)

    def plus(self, improved: bool) -> "MemberCredit":
        return MemberCredit(self.improved + improved, self.not_improved + (not improved))


def credits(
    trace: Trace, objective: Objective, members: Iterable[str], forgetting: float
) -> dict[str, MemberCredit]:
    """The credit of every member for its own trials: each was a new best that still stands, or
    not, whatever its size, so that no scale matters. A failed trial was not, nor was a turn in
    which the member had nothing; what is a trial back counts `forgetting` times as much."""
    found = dict.fromkeys(members, MemberCredit())
    improved = _improved(trace, objective)
    for trial in trace[1:]:
        if trial.retest_of is not None:
            continue
        found = {name: credit.forgotten(forgetting) for name, credit in found.items()}
        missed = [(name, False) for name in passed_over(trial.proposal.hypothesis)]
        for name, good in (*missed, (trial.proposal.origin, trial.number in improved)):
            if name in found:
                found[name] = found[name].plus(good)
    return found


def _improved(trace: Trace, objective: Objective) -> set[int]:
    """The numbers of the standing trials that were better than all that stand before them."""
    found, best = set[int](), None
    for trial in trace.standing:
        if trial.value is not None and (best is None or objective.better(trial.value, best)):
            found.add(trial.number)
            best = trial.value
    return found


def order(credits: Mapping[str, MemberCredit], prior: MemberCredit, rng: Random) -> Sequence[str]:
    """The members by a draw each from the posterior of its chance of a new best, the largest first.

    Thompson sampling with discounted Beta posteriors: Raj and Kalyani, "Taming non-stationary
    bandits: a Bayesian approach" (arXiv 1707.09727), after Garivier and Moulines, "On upper
    confidence bound policies for switching bandit problems" (ALT 2011).
    """
    drawn = {
        name: rng.betavariate(
            prior.improved + credit.improved, prior.not_improved + credit.not_improved
        )
        for name, credit in credits.items()
    }
    return sorted(drawn, key=lambda name: -drawn[name])


def shuffled(credits: Mapping[str, MemberCredit], rng: Random) -> dict[str, MemberCredit]:
    """The same credits, each in the hands of whichever member chance gives it to."""
    return dict(zip(credits, rng.sample([*credits.values()], len(credits)), strict=True))


def noted(passed: Mapping[str, str], hypothesis: str) -> str:
    """A hypothesis that tells who was passed over for this trial, and why; `passed_over` reads
    it."""
    told = "".join(f"[{name} passed over: {_plain(why)}] " for name, why in passed.items())
    return told + (f" {hypothesis}" if hypothesis.startswith("[") else hypothesis)


def passed_over(hypothesis: str) -> list[str]:
    found, at = [], 0
    while (match := _PASSED.match(hypothesis, at)) is not None:
        found.append(match[1])
        at = match.end()
    return found


def _plain(why: str) -> str:
    return " ".join(why.translate(str.maketrans("[]", "()")).split())[:_REASON_CHARS]
