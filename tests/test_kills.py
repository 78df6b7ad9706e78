"""kill -9 at any moment, then the same command: the journal of an unbroken run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kills import CASES, LAST, Case, Kill, Searches, compare
from tests.nightly import but_nightly

NIGHTLY = ("level 1.5", "level 2", "recorded replies", "a process a trial")


@pytest.fixture(scope="module")
def warm() -> Iterator[Searches]:
    with Searches() as searches:
        yield searches


def kills(case: Case) -> st.SearchStrategy[list[Kill]]:
    """Kills at the points that a search of this kind passes."""
    one = st.sampled_from(case.points).flatmap(
        lambda point: st.builds(
            Kill, st.just(point), st.integers(0, LAST[point] - 1), st.floats(0, 0.999)
        )
    )
    return st.lists(one, min_size=1, max_size=6)


@pytest.mark.slow
@pytest.mark.parametrize("name", but_nightly(CASES, NIGHTLY))
def test_a_killed_search_ends_with_the_journal_of_an_unbroken_one(
    name: str, warm: Searches, tmp_path_factory: pytest.TempPathFactory
) -> None:
    @settings(
        max_examples=2,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(planned=kills(CASES[name]), seed=st.integers(0, 50))
    def check(planned: list[Kill], seed: int) -> None:
        whole, broken = (tmp_path_factory.mktemp(word) for word in ("whole", "broken"))
        same, _ = compare(warm, CASES[name], seed, planned, whole, broken)
        assert same

    check()


def test_a_kill_strikes_where_it_is_due(warm: Searches, tmp_path: Path) -> None:
    """Else the test above could not fail."""
    arguments = ("study=s", "search.trials=3", "arm=level1", "task=trap", "tracking=none")
    for point in ("journal", "trial", "call", "time"):
        (tmp_path / point).mkdir()
        assert warm.killed(tmp_path / point, arguments, [Kill(point, 2, 0.3)]), point
