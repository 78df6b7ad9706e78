"""The benchmark as a task: real training in forked workers, the same bits as a fresh process."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from bilevel.config.files import CONF
from bilevel.config.overrides import plain
from bilevel.errors import StudyMismatch
from bilevel.journal import Journal
from bilevel.search.same_world import keep
from bilevel.tasks.cpu_gpt.corpus import TRAIN, Corpus, DamagedCorpus
from bilevel.tasks.cpu_gpt.task import CpuGpt
from bilevel.trace import FailureKind, Proposal
from tests.tasks.cpu_gpt.conftest import SMALL, edited, harness_command, run

CHANGES: dict[str, object] = {"TOTAL_BATCH_SIZE": 2**9, "DEVICE_BATCH_SIZE": 4, "ASPECT_RATIO": 32}


@pytest.fixture
def task(
    text_file: Path, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CpuGpt]:
    monkeypatch.setenv("BILEVEL_CACHE", str(corpus.folder.parents[1]))
    with initialize_config_dir(str(CONF), version_base=None):
        config = plain(
            compose(
                "config",
                [f"task.text={text_file}", "task.budget_s=0.1", "task.locked=[DEPTH]"],
            )
        )
    made: Any = instantiate(config["task"], _convert_="all")
    yield made
    made.close()


def test_a_trial_has_the_bits_of_a_fresh_process(
    task: CpuGpt, corpus: Corpus, tmp_path: Path
) -> None:
    outcome = task.evaluate(None, Proposal(CHANGES), seed=3)
    fresh = run(harness_command(edited(tmp_path, SMALL), corpus))
    [line] = [line for line in fresh.out.splitlines() if line.startswith("val_bpb:")]
    assert outcome.value == float(line.split()[1])
    assert 0 < outcome.cost["modelled_s"] <= 0.1
    assert outcome.metrics["num_steps"] >= 1
    assert "+ASPECT_RATIO = 32  #" in outcome.notes["train.py.diff"]


def test_it_is_measured_once_for_each_seed_and_budget(task: CpuGpt) -> None:
    first = task.evaluate(None, Proposal(CHANGES), seed=3)
    again = task.evaluate(None, Proposal(CHANGES), seed=3)
    other = task.evaluate(None, Proposal(CHANGES), seed=4)
    assert (again.value, again.clock["cached"]) == (first.value, 1.0)
    assert other.value != first.value


def test_a_batch_below_the_sequence_crashes_with_the_reason(task: CpuGpt) -> None:
    outcome = task.evaluate(None, Proposal({**CHANGES, "TOTAL_BATCH_SIZE": 64}), seed=3)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.CRASH
    assert "choose powers of two" in outcome.failure.detail


def test_a_corpus_is_made_when_the_task_has_to_be_ready(
    task: CpuGpt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILEVEL_CACHE", str(tmp_path / "cache"))
    assert task.space.baseline["DEPTH"] == 2
    assert task.material()["script_text"].startswith('"""')
    assert not (tmp_path / "cache").exists()
    task.ready()
    assert list((tmp_path / "cache" / "cpu_gpt").iterdir())


def test_a_corpus_that_was_damaged_is_not_the_trial_s_fault(
    task: CpuGpt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILEVEL_CACHE", str(tmp_path / "cache"))
    task.ready()
    with (task.corpus.folder / TRAIN).open("ab") as file:
        file.write(b"xx")
    with pytest.raises(DamagedCorpus, match=r"train\.bin, while a trial .* the same command"):
        task.evaluate(None, Proposal(CHANGES), seed=99)


def test_its_world_is_the_evaluator_the_corpus_and_what_computes(
    task: CpuGpt, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = dict(task.world())
    assert (world["torch"], world["corpus"]) == (torch.__version__, corpus.digest)
    assert {"evaluator", "numpy", "capability"} < set(world)
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert dict(task.world()) == {**world, "torch": "0.0"}
    journal = Journal(None)
    journal.note("search", "world", world)
    journal.note("search", "material", task.material())
    with pytest.raises(
        StudyMismatch, match=rf"\(torch: was {re.escape(world['torch'])}, now 0\.0\)"
    ):
        keep(journal, task, task.material(), "s")


def test_what_changes_nothing_after_rounding_is_a_duplicate(task: CpuGpt) -> None:
    def effective(**changes: object) -> object:
        return task.effective(task.configured(None, Proposal({**CHANGES, **changes})))

    assert effective(DEVICE_BATCH_SIZE=8) == effective(DEVICE_BATCH_SIZE=4)
    assert effective(WINDOW_PATTERN="SL") == effective()
    assert effective(WINDOW_PATTERN="L") != effective()
    assert effective(DEVICE_BATCH_SIZE=2) != effective()
