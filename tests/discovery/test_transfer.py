import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from bilevel.discovery.cells import Cell
from bilevel.discovery.transfer import HookTime, Transfer
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


def took(share: float) -> Transfer:
    """A mechanism that took this share of the trials, beside its arm, a control and a sampler."""
    mine = [replace(cell, taken=share) for cell in MADE.cells["mine"]]
    others = {t: MADE.cells[c] for t, c in (("alone", "worse"), ("sham", "worse"), ("tpe", "same"))}
    made_with = {"suite": "s", "half": "held_out", "repeats": 2, "trials": 30}
    time = {"mine": HookTime(4, 0.05)}
    return Transfer({"mine": mine, **others}, made_with, time, ["tpe"])


def test_what_takes_nearly_all_trials_is_ranked_among_classical_searches() -> None:
    beside, own = took(0.89), took(0.9)
    assert {row.group for row in beside.rows()} == {0}
    assert [(row.title, row.group) for row in own.rows()] == [
        *(("mine", 0), ("tpe", 0), ("alone", 1), ("sham", 1))
    ]
    assert [row.rank for row in own.rows()[2:]] == [1.5, 1.5]
    assert [row.ahead for row in own.rows()[2:]] == [
        row.ahead for row in beside.rows() if row.title in ("alone", "sham")
    ]
    assert "a search method of its own" in own.told()
    assert "a search method of its own" not in beside.told()


def test_it_is_told_with_what_it_cost() -> None:
    told = took(0.5).told()
    for said in (
        "Transfer to s, held_out (12 tasks, 2 seeds, 30 trials a search): a gain of 0.36",
        "ahead of alone by +0.31",
        "(Holm, 3 arms)",
        "It took 50% of the trials. A hook call took 12.5 ms.",
    ):
        assert said in told
    assert "not shown to gain anything" not in told
    alike = Transfer({"mine": drawn(0.3, 1), "alone": drawn(0.3, 2)}, took(0.5).made_with)
    assert "It is not shown to gain anything." in alike.told()


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "transfer" / "mine.json"
    for made in (MADE, took(0.9)):
        made.save(path)
        assert Transfer.load(path).rows() == made.rows()


def test_one_that_was_kept_before_costs_were_measured_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    cells = {title: [cell.to_json() for cell in found] for title, found in MADE.cells.items()}
    path.write_text(json.dumps({"made_with": {}, "cells": cells}))
    assert Transfer.load(path).rows() == MADE.rows()


@pytest.mark.parametrize("text", ["", "[]", '{"cells": {}}', '{"cells": 1, "made_with": {}}'])
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(BadInput, match="holds no transfer"):
        Transfer.load(tmp_path / "x.json")
