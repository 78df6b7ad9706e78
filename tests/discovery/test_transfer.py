from pathlib import Path
from random import Random

import pytest

from bilevel.discovery.cells import Cell
from bilevel.discovery.transfer import Transfer
from bilevel.errors import BadInput


def drawn(shift: float, seed: int) -> list[Cell]:
    rng = Random(seed)
    return [
        Cell(str(task), repeat, 0.01 * task + shift + rng.gauss(0, 0.05))
        for task in range(12)
        for repeat in range(2)
    ]


MADE = Transfer({"mine": drawn(0.3, 1), "same": drawn(0.3, 2), "worse": drawn(0.0, 3)}, {"n": 1})


def test_the_mechanism_comes_first_and_the_others_by_their_gain() -> None:
    rows = MADE.rows()
    assert [row.title for row in rows] == ["mine", "same", "worse"]
    assert rows[0].ahead is None
    assert rows[0].gain.mean == pytest.approx(0.355, abs=0.03)
    assert rows[2].ahead is not None
    assert rows[2].ahead.mean == pytest.approx(0.3, abs=0.05)


def test_a_lead_is_told_from_none() -> None:
    _, same, worse = MADE.rows()
    assert same.p_holm is not None
    assert worse.p_holm is not None
    assert same.p_holm > 0.05
    assert worse.p_holm < 1e-6
    assert worse.ahead_interval is not None
    assert worse.ahead_interval.low > 0.2


def test_p_values_are_corrected_for_the_number_of_arms() -> None:
    alone = Transfer({title: MADE.cells[title] for title in ("mine", "worse")}, {})
    corrected = next(row.p_holm for row in MADE.rows() if row.title == "worse")
    single = alone.rows()[1].p_holm
    assert corrected is not None
    assert corrected == pytest.approx(2 * (single or 0))


def test_ranks_are_means_over_tasks_and_equal_arms_share_theirs() -> None:
    ranks = {row.title: row.rank for row in MADE.rows()}
    assert sum(ranks.values()) == pytest.approx(6)
    assert ranks["worse"] == 3
    twice = Transfer({"a": MADE.cells["mine"], "b": MADE.cells["mine"]}, {})
    assert [row.rank for row in twice.rows()] == [1.5, 1.5]


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "transfer" / "mine.json"
    MADE.save(path)
    assert Transfer.load(path).rows() == MADE.rows()


@pytest.mark.parametrize("text", ["", "[]", '{"cells": {}}', '{"cells": 1, "made_with": {}}'])
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(BadInput, match="holds no transfer"):
        Transfer.load(tmp_path / "x.json")
