import importlib.util
import math
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bilevel.blade.aocc import HALVES, TEST, TRAINING, Measured, Searcher
from bilevel.blade.optimiser import Optimiser
from bilevel.commands.aocc import aocc, main
from bilevel.errors import BadInput, ConfigError
from bilevel.tasks.bbob import BladeMaBbob

needs_blade = pytest.mark.skipif(
    importlib.util.find_spec("iohblade") is None, reason="needs the extra blade"
)


@needs_blade
@pytest.mark.parametrize("instance", [0, 1])
def test_aocc_is_what_its_definition_says_on_the_same_instance(instance: int) -> None:
    """By hand, on our task of that number: a check of both."""
    task = BladeMaBbob(instance, 5)
    values: list[float] = []

    def func(point: list[float]) -> float:
        value = task.exact(dict(zip(task.optimum, point, strict=True)))
        values.append(value)
        return value

    noted: Any = func
    noted.bounds = SimpleNamespace(lb=[-5.0] * 5, ub=[5.0] * 5)
    noted.meta_data = SimpleNamespace(problem_id=100, instance=instance)
    type("Seeded", (Optimiser,), {"seed": 2})(20, 5)(noted)
    lowest = [min(100.0, max(1e-8, value)) for value in accumulate(values, min)]
    by_hand = 1 - sum((math.log10(value) + 8) / 10 for value in lowest[:-1]) / len(values)

    [cells] = Measured("training", 2, 5, 4).aocc([Searcher("random")], seeds=2, workers=1)
    assert [(cell.task, cell.repeat) for cell in cells] == [
        ("ma-bbob-0", 1),
        ("ma-bbob-1", 1),
        ("ma-bbob-0", 2),
        ("ma-bbob-1", 2),
    ]
    assert cells[2 + instance].gain == pytest.approx(by_hand, abs=2e-6)


@needs_blade
def test_the_halves_are_those_of_blade() -> None:
    from iohblade.benchmarks.BBOB.mabbob import MA_BBOB

    problem = MA_BBOB()
    assert [*problem.training_instances] == [*HALVES[TRAINING]]
    assert [*problem.test_instances] == [*HALVES[TEST]]


@needs_blade
def test_the_command_prints_the_table_and_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["instances=2", "dimension=2", "budget_factor=5", "seeds=1", "workers=1"]
    asked = [*small, "mechanism=separable_bowl", "against=cmaes", f"results={tmp_path}"]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert "2 instances, 2 dimensions, 1 seeds, 10 evaluations" in printed
    assert "AOCC" in printed
    assert "Not comparable" in printed
    made, path = aocc(asked)
    assert path.is_file()
    assert list(made.cells) == ["random + separable_bowl", "random", "cmaes"]
    rows = {row.title: row.gain.mean for row in made.rows()}
    assert rows["random + separable_bowl"] != rows["random"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (("held_out", 1, 5, 20), "half=held_out: expected one of training, test"),
        (("training", 21, 5, 20), "instances=21: the training half has 20"),
        (("test", 1, 21, 20), "dimension=21: BLADE lists optima of 2 to 20"),
    ],
)
def test_what_is_not_listed_is_refused(how: tuple[str, int, int, int], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Measured(*how)


def test_without_the_package_its_installation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"iohblade: .*'\.\[blade\]' && .* --no-deps 'iohblade"):
        Measured("training", 1, 5, 20)
    assert main(["mechanism=tabu"]) == 2
