"""The dry run: what did nothing, what broke, and what is only told."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from bilevel.admission.fitted import Fitted
from bilevel.admission.refusal import Refused
from bilevel.admission.rehearsal import TRIALS, rehearsed
from bilevel.admission.twins import Twins
from bilevel.errors import BudgetExhausted
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View


class Here(Mechanism):
    """A mechanism in this process, which the rehearsal begins anew like a confined one."""

    name = "mine"

    def begin(self, state: object = None) -> None:
        self.__init__()  # type: ignore[misc]


class Idle(Here):
    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return candidates

    def accept(self, view: View, trial: Trial) -> bool | None:
        return None


class Late(Here):
    def brief(self, view: View, brief: Brief) -> Brief:
        if view.trial == TRIALS - 2:
            raise LookupError("not so late")
        return brief


class Spender(Here):
    def propose(self, view: View) -> Sequence[Proposal]:
        raise BudgetExhausted("no calls left")


class Own(Here):
    """Puts its own candidates first."""

    changes: ClassVar[dict[str, object]]

    def propose(self, view: View) -> Sequence[Proposal]:
        return [Proposal(self.changes)]

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return sorted(candidates, key=lambda c: c.origin != self.name)


class Illegal(Own):
    changes: ClassVar[dict[str, object]] = {"NOPE": 1}


class Elsewhere(Own):
    """Draws where the proposer does not."""

    def propose(self, view: View) -> Sequence[Proposal]:
        return [Proposal({"TOTAL_BATCH_SIZE": 2 ** view.rng.randint(16, 18)})]


class Worse(Here):
    def accept(self, view: View, trial: Trial) -> bool | None:
        return False


class Words(Here):
    def brief(self, view: View, brief: Brief) -> Brief:
        return brief.add("Try a smaller batch.")


def rehearsal_of(mechanism: Any, view: View, task: Fitted) -> str:
    return rehearsed("", Twins("", lambda chance: mechanism), view, task)


@pytest.mark.parametrize(
    ("mechanism", "words"),
    [
        (Idle(), "dead: in 3 searches of 24 trials its hooks (review, accept) changed no decision"),
        (Late(), "in search 1 of 3, trial 22, brief answered with what the loop cannot use: Look"),
        (Spender(), "the loop could not go on at trial 1: BudgetExhausted: no calls left"),
        (Illegal(), "72 of the 72 trials that it caused failed as invalid, the first one: NOPE is"),
    ],
)
def test_what_is_refused(mechanism: Here, words: str, view: View, task: Fitted) -> None:
    with pytest.raises(Refused) as refusal:
        rehearsal_of(mechanism, view, task)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("mechanism", "words"),
    [
        (Elsewhere(), "it changed propose (decision) "),
        (Worse(), "it changed accept (decision) "),
        (Words(), "it changed brief (prompt) 72 times"),
    ],
)
def test_what_changes_something_passes(
    mechanism: Here, words: str, view: View, task: Fitted
) -> None:
    said = rehearsal_of(mechanism, view, task)
    assert words in said
    assert said == rehearsal_of(mechanism, view, task)
    assert said.startswith("3 searches of 24 trials on a surrogate fitted to 31 trials")
    assert said.endswith("The surrogate is a sanity check, not a judgement")


def test_the_numbers_are_told_and_a_worse_one_is_let_through(view: View, task: Fitted) -> None:
    said = rehearsal_of(Worse(), view, task)
    mean = said.split("mean difference ")[1].split()[0]
    assert float(mean) > 0
    with_it = said.split("with it ")[1].split(", without")[0].split(", ")
    assert len(with_it) == 3
    baseline = view.trace[0].value
    assert baseline is not None
    assert all(abs(float(best) - baseline) < 0.01 for best in with_it)  # it kept nothing else
