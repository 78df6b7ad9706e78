from collections.abc import Iterator
from typing import Any

import pytest

from bilevel.discovery.accounts import MECHANISM, incumbent, tried
from bilevel.discovery.discoverer import ARCHIVE, GATES, NOTHING, SCORES, Discoverer
from bilevel.discovery.paired import Paired
from bilevel.discovery.suite import Suite
from bilevel.errors import ConfigError
from bilevel.journal import Journal
from bilevel.llm.ledger import CallLedger
from bilevel.llm.scripted import scripted_client
from bilevel.llm.session import Session
from bilevel.loop.acceptance import Acceptance
from bilevel.loop.loop import Loop
from bilevel.sandbox.worker_handle import Limits
from bilevel.trace import Trial
from bilevel.view import View
from tests.discovery.mechanisms import GOOD, HARMFUL, REFUSED
from tests.discovery.test_suite import suite
from tests.helpers import SPACE, Listed


@pytest.fixture(scope="module")
def task() -> Iterator[Suite]:
    made = suite(trials=8, repeats=2)
    yield made
    made.close()


class KeepsFirst(Acceptance):
    """Keeps the first trial after the baseline, whatever it is worth."""

    def accept(self, view: View, trial: Trial) -> bool:
        return view.trial <= 1


@pytest.fixture(scope="module")
def searched(task: Suite) -> Loop:
    """None, a good one, a harmful one, and a text that no gate lets in."""
    texts: list[dict[str, object]] = [{MECHANISM: text} for text in (GOOD, HARMFUL, REFUSED)]
    loop = Loop(task=task, proposer=Listed(*texts), acceptance=KeepsFirst(), trials=3)
    loop.run()
    return loop


def test_what_stands_is_told_with_its_text_and_its_gain_on_every_task(searched: Loop) -> None:
    assert searched.incumbent is not None
    told = incumbent(searched.view())
    assert GOOD.strip() in told
    assert "| task | gain without | gain now | spread over seeds |" in told
    assert "trap" not in told  # tasks have numbers: a name would be something to fit to
    assert "against none" in told
    assert "of the trials" in told


def test_what_was_tried_is_told_paired_or_by_the_gates_only(searched: Loop) -> None:
    scores, gates = (tried(searched.view(), scores=s) for s in (True, False))
    assert "against the incumbent" in scores
    assert "± " in scores
    assert "lint" in scores
    assert "lint" in gates
    assert "against" not in gates
    assert "±" not in gates


def test_before_anything_stands_the_arm_alone_is_told(task: Suite) -> None:
    loop = Loop(task=task, proposer=Listed({}), acceptance=Paired(), trials=1)
    loop.run(0)
    assert "No mechanism: the arm alone" in incumbent(loop.view())
    assert tried(loop.view(), scores=True) == "Nothing yet."


def asked(task: Suite, reads: str, trials: int = 3) -> tuple[Loop, CallLedger]:
    client = scripted_client(
        name="scripted", model="scripted", temperature=0.7, structured="json_schema"
    )
    ledger = CallLedger()
    session = Session(client, Journal(None), ledger, 1, aloud=False)
    discoverer = Discoverer(task.space, limits=Limits(), reads=reads)
    loop = Loop(
        task=task,
        proposer=discoverer,
        acceptance=Paired(),
        trials=trials,
        seed=1,
        asker=session.asker,
    )
    loop.run()
    return loop, ledger


@pytest.mark.parametrize(
    "reads",
    [SCORES, GATES, *(pytest.param(r, marks=pytest.mark.nightly) for r in (ARCHIVE, NOTHING))],
)
def test_it_writes_mechanisms_that_are_admitted_and_judged(task: Suite, reads: str) -> None:
    loop, ledger = asked(task, reads)
    assert len(loop.trace) == 4
    admitted = [t for t in loop.trace[1:] if t.proposal.mechanism and t.value is not None]
    assert admitted
    for trial in admitted:
        made = trial.proposal.mechanism
        assert made is not None
        assert made.admitted
        assert made.source == trial.config[MECHANISM]
    prompts = [
        call.messages[-1]["content"] for call in ledger.since(0) if "discover" in call.purpose
    ]
    shown = [text for text in prompts if "What was tried before" in text]
    assert ("gain without" in shown[-1]) == (reads == SCORES)
    assert ("passed the gates" in shown[-1]) == (reads == GATES)
    assert "bilevel.toolkit" in shown[-1]


def test_it_refuses_a_task_that_judges_no_mechanisms() -> None:
    with pytest.raises(ConfigError, match="task=suite"):
        Discoverer(SPACE, limits=Limits())


def test_a_reply_that_cannot_be_used_is_a_failed_trial(task: Suite) -> None:
    class Silent:
        problem, value, prompt, tokens = "the model said nothing", None, "abc", 0

    class Quiet:
        def asker(self, level: float, trial: int, purpose: str) -> Any:
            return lambda *a, **k: Silent()

    loop = Loop(
        task=task,
        proposer=Discoverer(task.space, limits=Limits()),
        acceptance=Paired(),
        trials=1,
        asker=Quiet().asker,
    )
    loop.run()
    last: Trial = loop.trace[-1]
    assert last.outcome.failure is not None
    assert last.outcome.failure.detail == "the model said nothing"
