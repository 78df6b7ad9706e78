"""The contract that every baseline's proposer keeps, on every space and on awkward traces."""

from dataclasses import replace
from pathlib import Path

import pytest

from bilevel.baselines.centaur import Centaur
from bilevel.journal import Journal, projection, read
from bilevel.space import SearchSpace, canonical
from bilevel.trace import FailureKind, Outcome, Trial
from bilevel.view import Brief, Proposer
from tests.baselines.support import ARMS, OWN_SPACE, SMAC, cpu_gpt, proposer, search, spaces
from tests.mechanisms.support import EVERY_KIND, answering, trial, view, walk

TRACES: dict[str, list[Trial]] = {
    "empty": [],
    "the baseline": walk(1),
    "long": walk(25),
    "crashes": walk(25, lambda number: number > 0),
    "many crashes": walk(25, lambda number: number % 3 != 0),
    "all equal": [trial(EVERY_KIND, n, {}, 1.0, kept=n == 0) for n in range(20)],
    "invalid proposals": [
        trial(
            EVERY_KIND, n, {}, None if n else 1.0, kept=not n, failure=FailureKind.INVALID_PROPOSAL
        )
        for n in range(20)
    ],
}


def answers(
    made: Proposer,
    trials: list[Trial],
    *,
    space: SearchSpace = EVERY_KIND,
    direction: str = "minimize",
) -> list[str]:
    """What is proposed as a trace grows, checked to be legal."""
    said = []
    for count in range(min(1, len(trials)), len(trials) + 1, 4):
        at = view(
            trials[:count],
            space=space,
            direction=direction,
            asker=answering(problem="no JSON"),
        ).for_("propose/0")
        for candidate in made.propose(at, Brief(at.trace)):
            assert candidate.origin
            legal = space.check(candidate.changes)
            assert legal == candidate.changes
            assert {p.name for p in space.active} >= set(legal)
            said.append(canonical(candidate.changes) + candidate.problem)
    return said


@pytest.mark.parametrize("arm", [*OWN_SPACE, SMAC])
class TestEveryProposerOfConfigurations:
    @pytest.mark.parametrize("space", ["every kind", "trap", "cpu_gpt"])
    def test_what_it_proposes_is_legal(self, arm: str, space: str) -> None:
        where = spaces()[space]
        trials = [trial(where, 0, {}, 1.0, kept=True)]
        assert answers(proposer(arm, where), trials, space=where)

    @pytest.mark.parametrize("trace", TRACES, ids=str)
    def test_any_trace_is_survived(self, arm: str, trace: str) -> None:
        assert answers(proposer(arm, EVERY_KIND), TRACES[trace])

    def test_the_other_direction_is_the_mirror_image(self, arm: str) -> None:
        trials = TRACES["many crashes"]
        mirrored = [t if t.value is None else replace(t, outcome=Outcome(-t.value)) for t in trials]
        made = [proposer(arm, EVERY_KIND) for _ in "ab"]
        expected = answers(made[0], trials)
        assert answers(made[1], mirrored, direction="maximize") == expected


def length(arm: str) -> int:
    """Trials of a search: enough for a Gaussian process, which takes long, to be fitted twice."""
    return 7 if arm == "gp" else 12


@pytest.mark.parametrize("arm", [*ARMS, SMAC])
class TestEverySearch:
    def test_the_same_seed_searches_the_same_and_another_one_does_not(self, arm: str) -> None:
        def proposed(seed: int) -> list[str]:
            loops = search(arm, seed, trials=length(arm))
            assert len(loops[0].trace) == length(arm) + 1
            return [canonical(dict(t.proposal.changes)) for ran in loops for t in ran.trace]

        assert proposed(3) == proposed(3)
        assert proposed(3) != proposed(4)

    def test_a_killed_search_continues_to_the_same_journal(self, arm: str, tmp_path: Path) -> None:
        whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
        with Journal(whole) as journal:
            search(arm, trials=length(arm), journal=journal)
        written = whole.read_bytes()
        for share in (0.4, 0.97):
            cut.write_bytes(written[: int(len(written) * share)])
            with Journal(cut) as journal:
                search(arm, trials=length(arm), journal=journal)
            assert projection(read(cut)) == projection(read(whole))

    def test_a_batch_is_filled_with_legal_proposals(self, arm: str) -> None:
        ran = search(arm, trials=12, batch=3)[0]
        assert len(ran.trace) == 13
        for one in ran.trace[1:]:
            assert one.proposal.problem or ran.task.space.check(one.proposal.changes) is not None


@pytest.mark.parametrize("arm", ["random", "tpe", "cmaes", "gp", SMAC, "centaur"])
def test_a_sampler_s_draws_depend_on_the_seed_of_the_search(arm: str) -> None:
    def drawn(seed: int) -> object:
        made = Centaur(EVERY_KIND, share=0.0) if arm == "centaur" else proposer(arm, EVERY_KIND)
        at = view(TRACES["the baseline"], seed=seed).for_("propose/0")
        return made.propose(at, Brief(at.trace))[0].changes["RATE"]

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(5)}) == 5


def test_the_benchmark_s_space_has_every_kind_a_sampler_meets() -> None:
    kinds = {type(parameter).__name__ for parameter in cpu_gpt().active}
    assert kinds == {"PowerOfTwo", "Choice", "Float", "Tuple"}
