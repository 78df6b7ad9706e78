"""The suite as a problem of BLADE, whose own methods search on it with a scripted model."""

import copy
import importlib
import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from bilevel.discovery.accounts import MECHANISM
from bilevel.errors import ConfigError
from bilevel.randomness import training_seed
from bilevel.trace import Proposal
from tests.discovery.mechanisms import GOOD, HARMFUL, REFUSED
from tests.discovery.test_suite import suite

needs_blade = pytest.mark.skipif(
    importlib.util.find_spec("iohblade") is None, reason="needs the extra blade"
)
SMALL = ("task.suite=classics", "task.inner=random", "task.trials=8", "task.repeats=2")


@pytest.fixture(scope="module")
def problem() -> Any:
    from bilevel.blade.problem import SuiteProblem

    return SuiteProblem(*SMALL, "task.race=0", "task.workers=1")


def scored(problem: Any, text: str) -> Any:
    from iohblade.solution import Solution

    return problem(Solution(code=text, name="Planted", description="planted"))


def listed(*texts: str) -> Any:
    """A model of BLADE that answers with these texts, one after the other."""
    from iohblade.llm import LLM

    class Listed(LLM):  # type: ignore[misc]  # mypy does not follow optional packages
        def __init__(self) -> None:
            super().__init__("", "listed")
            self.asked: list[str] = []

        def _query(self, session: list[dict[str, str]], **kwargs: Any) -> str:
            text = texts[len(self.asked) % len(texts)]
            self.asked.append("\n".join(message["content"] for message in session))
            return f"# Description: planted\n# Code:\n```python\n{text}\n```"

        def get_config(self) -> list[dict[str, Any]]:
            return [{"model": self.model, "config": {}, "hardware": {}}]

    return Listed()


@needs_blade
def test_fitness_is_the_gain_of_the_suite_at_the_seed_of_a_search(problem: Any) -> None:
    task = suite(trials=8, repeats=2)
    outcome = task.evaluate(None, Proposal({MECHANISM: GOOD}), training_seed(1))
    assert scored(copy.deepcopy(problem), GOOD).fitness == outcome.value


@needs_blade
def test_another_run_starts_with_what_no_text_comes_to_and_nothing_else(problem: Any) -> None:
    run = copy.deepcopy(problem)
    first, second = (scored(run, text).feedback for text in (HARMFUL, GOOD))
    assert first.startswith("trial 1: planted\nIts gain is ")
    assert second.startswith("trial 2: planted\nIts gain is ")
    assert scored(copy.deepcopy(run), HARMFUL).feedback == first


@needs_blade
@pytest.mark.parametrize(("text", "said"), [(REFUSED, "not admitted: lint"), (" ", "no text")])
def test_a_refused_text_has_the_worst_fitness_and_the_reason(
    problem: Any, text: str, said: str
) -> None:
    found = scored(problem, text)
    assert found.fitness == -math.inf
    assert said in found.feedback
    assert said in found.error


@needs_blade
def test_what_is_behind_is_stopped_and_the_score_says_so() -> None:
    from bilevel.blade.problem import SuiteProblem

    found = scored(SuiteProblem(*SMALL, "task.race=0.4", "task.workers=1"), HARMFUL)
    assert found.metadata["stopped_early"]
    assert f"stopped after 2 of 4 searches; its score, {found.fitness:.3f}," in found.feedback


@needs_blade
def test_the_held_out_half_is_another_measurement(problem: Any) -> None:
    found = scored(problem, GOOD)
    before = found.fitness
    judged = problem.test(found)
    assert found.fitness == before
    assert judged.fitness != before
    assert "gain_without" in judged.metadata


@needs_blade
def test_it_can_be_logged(problem: Any) -> None:
    assert json.loads(json.dumps(problem.to_dict()))["test_instances"] == ["plateau", "noisy"]
    assert problem.get_config()["prompt"] == problem.get_prompt()


@needs_blade
@pytest.mark.filterwarnings("ignore:The backend class:UserWarning")  # LLaMEA's, of joblib
@pytest.mark.parametrize("method", ["RandomSearch", "LLaMEA"])
def test_their_methods_search_for_mechanisms_on_equal_calls_and_evaluations(
    method: str, problem: Any, tmp_path: Path
) -> None:
    from iohblade import methods
    from iohblade.loggers import RunLogger

    model = listed(HARMFUL, REFUSED, GOOD)
    settings = {"n_parents": 1, "n_offspring": 1} if method == "LLaMEA" else {}
    run = copy.deepcopy(problem)
    run.set_logger(RunLogger(method, str(tmp_path), budget=3))
    found = getattr(methods, method)(model, 3, **settings)(run)
    assert found.code.strip() == GOOD.strip()
    assert len(model.asked) == 3
    logged = Path(run.logger.get_log_dir(), "log.jsonl").read_text().splitlines()
    assert len(logged) == 3
    if method == "LLaMEA":
        assert "| task | gain without | gain now |" in model.asked[1]
    assert run(copy.deepcopy(found)).feedback == "Budget is exhausted."


def test_without_the_package_its_installation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "iohblade", None)
    monkeypatch.setitem(sys.modules, "iohblade.problem", None)
    monkeypatch.delitem(sys.modules, "bilevel.blade.problem", raising=False)
    with pytest.raises(ConfigError, match=r"SuiteProblem needs iohblade .*--no-deps 'iohblade"):
        importlib.import_module("bilevel.blade.problem")
