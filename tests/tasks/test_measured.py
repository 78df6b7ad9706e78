"""Configurations that are measured: where they lie, that none comes twice, how they are kept."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.errors import BadInput
from bilevel.parameters import Choice, Float, Int, PowerOfTwo, Tuple
from bilevel.space import Config, SearchSpace, canonical
from bilevel.tasks.measured import records
from bilevel.tasks.measured.design import BLOCK, FILL, NEAR_BASELINE, NEAR_BEST, REPEAT, Design
from bilevel.tasks.measured.records import Measurement
from bilevel.trace import Objective

SPACE = SearchSpace(
    (
        Float("RATE", 1e-4, 1.0, 0.01, log=True),
        Int("DEPTH", 1, 9, 3),
        PowerOfTwo("BATCH", 1, 1024, 64),
        Choice("KIND", ("a", "b", "c"), "a"),
        Tuple("BETAS", (0.5, 0.8), (0.99, 0.999), (0.9, 0.95)),
    )
)
SEEDS = (101, 102, 103)


def walked(design: Design, blocks: int) -> list[Measurement]:
    found: list[Measurement] = []
    for number in range(blocks):
        planned = design.block(number, found)
        found += [Measurement(p.config, p.seed, p.why, value(p.config)) for p in planned]
    return found


def value(config: Config) -> float:
    return abs(float(str(config["RATE"])) - 0.5)


def test_half_fill_the_space_and_the_others_lie_where_searches_go() -> None:
    found = walked(Design(SPACE, Objective("loss"), SEEDS, seed=0), 20)
    counts = {FILL: 103, NEAR_BASELINE: 40, NEAR_BEST: 38, REPEAT: 19}  # the first ten know nothing
    assert Counter(m.why for m in found) == counts
    assert len({(canonical(m.config), m.seed) for m in found}) == len(found) == 20 * BLOCK
    by = {why: [m for m in found if m.why == why] for why in (FILL, NEAR_BASELINE, NEAR_BEST)}
    for m in by[NEAR_BASELINE]:
        assert 1 <= sum(m.config[n] != v for n, v in SPACE.baseline.items()) <= 3
    middle = {why: sorted(value(m.config) for m in group) for why, group in by.items()}
    best, fill = (middle[why][len(middle[why]) // 2] for why in (NEAR_BEST, FILL))
    assert best < 0.6 * fill  # the early ones among the first hundred lie near what was best then
    logs = [m.config["RATE"] < 0.01 for m in by[FILL]]  # type: ignore[operator]
    assert 0.4 < sum(logs) / len(logs) < 0.6
    for m in found:
        if m.why == REPEAT:
            assert m.seed in SEEDS[1:]
            assert any(m.config == o.config and o.seed == SEEDS[0] for o in found)
        else:
            assert m.seed == SEEDS[0]


def test_the_same_again_and_others_with_another_seed() -> None:
    def configs(seed: int) -> list[str]:
        made = walked(Design(SPACE, Objective("loss"), SEEDS, seed=seed), 4)
        return [canonical(m.config) for m in made]

    assert configs(0) == configs(0)
    assert not set(configs(0)) & set(configs(1)) - {canonical(SPACE.baseline)}


@given(
    st.builds(
        Measurement,
        config=st.fixed_dictionaries(
            {
                "RATE": st.floats(1e-4, 1.0),
                "BETAS": st.tuples(st.floats(0.5, 0.9), st.floats(0.8, 0.99)),
                "KIND": st.sampled_from("abc"),
            }
        ),
        seed=st.integers(0, 2**32),
        why=st.text(),
        value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        failure=st.none() | st.sampled_from(["crash", "timeout"]),
    )
)
def test_what_is_written_is_read(one: Measurement) -> None:
    import json

    [line] = records.text([one]).splitlines()
    assert Measurement.from_json(json.loads(line)) == one


def test_a_file_that_holds_something_else_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "measured.jsonl"
    good = Measurement(SPACE.baseline, 101, FILL, 1.0)
    records.write(path, [good, replace(good, value=None, failure="crash")])
    assert [m.value for m in records.read(path)] == [1.0, None]
    for wrong in ("{}", "[1]", "no JSON", '{"config": 3}'):
        path.write_text(records.text([good]) + wrong + "\n")
        with pytest.raises(BadInput, match="line 2: expected a measurement"):
            records.read(path)
    with pytest.raises(BadInput, match="cannot be read"):
        records.read(tmp_path / "nothing")
