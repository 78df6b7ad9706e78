"""What a tracker is told of a search before its first trial."""

from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

from bilevel.journal import Journal
from bilevel.loop.loop import Loop
from bilevel.search.execution import Execution
from bilevel.search.identity import identify
from bilevel.search.seed_noise import with_measured_noise
from bilevel.trace import Trial
from bilevel.tracking import NullTracker, SearchInfo
from tests.test_conf import composed


class Listening(NullTracker):
    def start(self, info: SearchInfo) -> None:
        self.info = info


def info_of(tmp_path: Path, *overrides: str) -> SearchInfo:
    short = ("search.trials=1", "search.confirm_seeds=0", f"results={tmp_path}")
    settings = with_measured_noise(composed(*short, *overrides))
    tracker = Listening()
    Execution(identify(settings), settings, tmp_path, Journal(None), tracker).to_the_end()
    return tracker.info


def test_a_search_says_what_it_measures_and_whom_it_asks(tmp_path: Path) -> None:
    info = info_of(tmp_path, "task=trap", "task.noise_sd=0.5", "llm.temperature=0.25")
    assert (info.llm, info.model) == ("scripted", "scripted at 0.25")
    assert info.task_settings["noise_sd"] == 0.5
    assert info.dependent_seeds == ""
    assert info.role == '{"control": "mechanism", "place": 1}'


def test_a_search_without_a_model_names_none(tmp_path: Path) -> None:
    assert info_of(tmp_path, "task=trap", "arm=random").model == ""


@pytest.mark.parametrize(("arm", "said"), [("evoscientist_study", "baseline.memory=study"),
                                           ("evoscientist", "")])  # fmt: skip
def test_a_search_says_if_its_study_shares_a_memory(tmp_path: Path, arm: str, said: str) -> None:
    assert info_of(tmp_path, "task=trap", f"arm={arm}").dependent_seeds == said


def test_the_text_of_a_script_counts_and_not_its_place(tmp_path: Path) -> None:
    found = []
    for place, text in (("a", "X = 1.0\n"), ("b", "X = 1.0\n"), ("c", "X = 2.0\n")):
        script = tmp_path / f"{place}.py"
        script.write_text(text + "print(f'val_loss: {X}')\n")
        found.append(
            info_of(tmp_path, "task=script", f"task.file={script}", "arm=random",
                 "+task.parameters.X={type: float, low: 0, high: 3}").task_settings
        )  # fmt: skip
    assert found[0] == found[1] != found[2]


def test_linear_algebra_has_one_thread_while_a_search_runs(tmp_path: Path) -> None:
    """What sums come to depends on it."""
    settings = composed("search.trials=1", f"results={tmp_path}", "task=trap", "arm=cmaes")
    threads: set[int] = set()

    def look(loop: Loop, trial: Trial) -> None:
        threads.update(pool["num_threads"] for pool in threadpool_info())

    Execution(
        identify(settings), settings, tmp_path, Journal(None), NullTracker(), observers=[look]
    ).to_the_end()
    assert threads == {1}
