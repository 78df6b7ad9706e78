"""The language model without search: independent samples, and a sequence that keeps all."""

from bilevel.journal import Journal
from bilevel.llm.ledger import CallLedger
from bilevel.llm.scripted import scripted_client
from bilevel.llm.session import Session
from bilevel.loop.loop import Loop
from bilevel.search.build import levels
from bilevel.tasks.surrogate import Surrogate
from tests.baselines.support import configured


def ran(arm: str, trials: int = 15) -> tuple[Loop, list[str]]:
    """A search and the first prompt of each of its trials."""
    journal = Journal(None)
    client = scripted_client(name="scripted", model="scripted", base_url=None)
    with Session(client, journal, CallLedger(), 1) as session:
        config = {**configured(arm), "search": {"trials": trials}}
        made = levels(
            config, Surrogate("trap"), journal=journal, asker=session.asker, observers=[]
        )[-1]
        made.run()
        first = {call.trial: call.messages[1]["content"] for call in reversed(session.ledger.calls)}
    return made, [first[number] for number in sorted(first)]


class TestIid:
    def test_every_trial_is_a_change_to_the_baseline(self) -> None:
        search, _ = ran("iid_llm")
        assert {trial.parent for trial in search.trace[1:]} == {0}
        changed = [t for t in search.trace[1:] if not t.proposal.problem]
        assert all(1 <= len(t.proposal.changes) <= 3 for t in changed)
        assert search.best is not None
        assert search.best.number > 0

    def test_the_model_is_asked_the_same_every_time_and_answers_differently(self) -> None:
        search, prompts = ran("iid_llm")
        assert len(prompts) == 15
        assert len(set(prompts)) == 1
        assert "(no experiments are shown)" in prompts[0]
        assert "is judged on its own. Current configuration: trial 0" in prompts[0]
        assert len({str(t.proposal.changes) for t in search.trace[1:]}) > 3


class TestSequential:
    def test_whatever_ran_is_built_on_and_the_best_of_all_counts(self) -> None:
        search, _ = ran("sequential_llm", 30)
        last = 0
        for trial in search.trace[1:]:
            assert trial.parent == last
            last = last if trial.value is None else trial.number
        values = [trial.value for trial in search.trace if trial.value is not None]
        assert search.best is not None
        assert search.best.value == min(values)
        assert search.incumbent is not search.best

    def test_the_model_sees_the_history_and_is_told_the_rule(self) -> None:
        _, prompts = ran("sequential_llm")
        assert "becomes the current configuration if it runs, better or not" in prompts[-1]
        assert "kept only if" not in prompts[-1]
        assert "| 14 |" in prompts[-1]
