"""Noise-aware keeping: past the threshold only, and a lucky incumbent is measured again."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bilevel.errors import ConfigError
from bilevel.journal import Journal, projection, read
from bilevel.loop.acceptance import Always, Greedy, NoiseAware
from bilevel.loop.loop import Loop
from bilevel.randomness import confirmation_seed, noise_seed, retest_seed, training_seed
from bilevel.trace import FailureKind, Outcome, Proposal, Trial
from tests.helpers import Listed, Parabola

SD = 1.0
UNIT = math.sqrt(2)  # of a difference of two measurements


class Noisy(Parabola):
    """Answers with BATCH as the noise-free value is told by X, and other values on re-tests."""

    def __init__(self, again: Mapping[float, float | None]) -> None:
        super().__init__()
        self.again = again
        self.seeds: list[int] = []

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        self.seeds.append(seed)
        x: Any = self.configured(parent, proposal)["X"]
        if seed == training_seed(1):
            return Outcome(x)
        value = self.again[x]
        return Outcome(value) if value is not None else Outcome.failed(FailureKind.CRASH, "gone")


def search(*values: float, again: Mapping[float, float | None] | None = None, **rest: Any) -> Loop:
    """Proposes X = values in order; the baseline is 5."""
    proposals: list[dict[str, object]] = [{"X": value} for value in values]
    made = Loop(
        task=Noisy(again or {}),
        proposer=Listed(*proposals),
        acceptance=rest.pop("acceptance", None) or NoiseAware(SD),
        trials=rest.pop("trials", len(values)),
        seed=1,
        **rest,
    )
    made.run()
    return made


def decisions(loop: Loop) -> list[str]:
    return [
        str(t.decision) if t.retest_of is None else f"{t.retest_of} {t.decision}"
        for t in loop.trace
    ]


def test_a_gain_within_the_noise_is_not_kept() -> None:
    loop = search(5 - UNIT + 0.01, 5 - 3 * UNIT)
    assert decisions(loop) == ["keep", "discard", "keep"]


def test_a_lucky_incumbent_that_measures_well_again_stands() -> None:
    loop = search(3.0, 9.0, again={3.0: 3.5}, trials=3)
    assert decisions(loop) == ["keep", "keep", "1 keep", "discard"]
    retest = loop.trace[2]
    assert (retest.retest_of, retest.parent, retest.value) == (1, 1, 3.5)
    assert retest.seed == retest_seed(1, 0) != loop.trace[1].seed
    assert retest.config == loop.trace[1].config
    assert loop.incumbent is loop.trace[1]
    assert loop.best is loop.trace[1]


def test_luck_is_found_out_and_the_search_goes_back() -> None:
    loop = search(3.0, 9.0, 2.0, again={3.0: 6.0, 2.0: 2.0}, trials=5)
    assert decisions(loop) == ["keep", "keep", "1 discard", "discard", "keep", "discard"]
    assert loop.trace[3].parent == 0
    assert loop.best is loop.trace[4]
    assert [trial.number for trial in loop.trace.standing] == [0, 4]


def test_a_duplicate_of_a_refuted_trial_is_not_kept() -> None:
    loop = search(3.0, 3.0, 9.0, again={3.0: 6.0}, trials=4)
    assert decisions(loop) == ["keep", "keep", "1 discard", "discard", "discard"]
    assert loop.trace[3].duplicate_of == 1


def test_a_refuted_trial_is_no_best_and_a_retest_none_of_its_own() -> None:
    loop = search(3.0, again={3.0: 6.0}, trials=2)
    assert loop.best is loop.incumbent is loop.trace[0]
    loop = search(3.0, again={3.0: 1.0}, trials=2)
    assert loop.best is loop.trace[1]


def test_a_large_gain_is_not_lucky_and_the_baseline_never_is() -> None:
    loop = search(5 - 2 * UNIT - 0.01, 9.0)
    assert decisions(loop) == ["keep", "keep", "discard"]


def test_a_retest_that_fails_decides_nothing_and_is_not_repeated() -> None:
    loop = search(3.0, 9.0, again={3.0: None}, trials=3)
    assert decisions(loop) == ["keep", "keep", "1 fail", "discard"]
    assert loop.incumbent is loop.trace[1]


def test_more_retests_use_further_seeds_and_are_charged() -> None:
    loop = search(3.0, 9.0, again={3.0: 3.0}, trials=4, acceptance=NoiseAware(SD, retests=2))
    assert decisions(loop) == ["keep", "keep", "1 keep", "1 keep", "discard"]
    assert [t.seed for t in loop.trace[2:4]] == [retest_seed(1, 0), retest_seed(1, 1)]
    assert loop.trials_left == 0


def test_nothing_is_retested_without_a_trial_left() -> None:
    assert decisions(search(3.0)) == ["keep", "keep"]


def test_a_maximised_metric_is_judged_the_other_way_round() -> None:
    class Upward(Noisy):
        objective = type(Noisy.objective)("accuracy", "maximize")

    made = Loop(
        task=Upward({7.0: 4.0}),
        proposer=Listed({"X": 7.0}, {"X": 6.0}, {"X": 9.9}),
        acceptance=NoiseAware(SD),
        trials=4,
        seed=1,
    )
    made.run()
    assert decisions(made) == ["keep", "keep", "1 discard", "discard", "keep"]


def test_plain_policies_retest_nothing() -> None:
    for policy in (Greedy(), Always()):
        loop = search(3.0, 2.9, acceptance=policy)
        assert all(trial.retest_of is None for trial in loop.trace)


@pytest.mark.parametrize("stop", range(0, 22))
def test_a_search_with_retests_stopped_at_any_line_continues_to_the_same_journal(
    stop: int, tmp_path: Path
) -> None:
    def run(path: Path) -> None:
        again = {3.0: 6.0, 0.0: 0.5}
        with Journal(path) as journal:
            search(3.0, 9.0, 2.0, 0.0, again=again, trials=7, journal=journal)

    run(tmp_path / "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    assert sum('"retest_of"' in line for line in lines) == 2
    (tmp_path / "cut.jsonl").write_text("".join(lines[:stop])[:-1])
    run(tmp_path / "cut.jsonl")
    whole = projection(read(tmp_path / "whole.jsonl"))
    assert projection(read(tmp_path / "cut.jsonl")) == whole


def test_without_a_deviation_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected the standard deviation of one measurement"):
        NoiseAware(None)


def test_seeds_of_different_purposes_never_meet() -> None:
    for seed in range(200):
        mine = {training_seed(seed), *(retest_seed(seed, repeat) for repeat in range(3))}
        assert len(mine) == 4
        assert max(mine) < 2**30 <= confirmation_seed(seed, 0) < 2**31 <= noise_seed(seed) < 2**32
