"""The task of free edits: verdicts as outcomes, diffs as notes, and what is no trial's fault."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bilevel.errors import SpaceError
from bilevel.sandbox import worker_handle
from bilevel.sandbox.failures import SandboxUnavailable
from bilevel.tasks.cpu_gpt.corpus import TRAIN, Corpus, DamagedCorpus
from bilevel.tasks.cpu_gpt.identity import SCRIPT as BASELINE
from bilevel.tasks.cpu_gpt_code.task import MAX_CHARS, SCRIPT, CpuGptCode
from bilevel.trace import FailureKind, Outcome, Proposal
from tests.tasks.cpu_gpt_code.conftest import script


@pytest.fixture(scope="module")
def task(walled: None, text_file: Path, corpus: Corpus) -> Iterator[CpuGptCode]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BILEVEL_CACHE", str(corpus.folder.parents[1]))
        made = CpuGptCode(
            name="code", budget_s=0.05, limit_s=300, text=str(text_file), script_text=script()
        )
        yield made
        made.close()


def test_a_verdict_becomes_an_outcome_that_is_measured_once(task: CpuGptCode) -> None:
    task.ready()
    first = task.evaluate(None, Proposal({}), seed=3)
    assert first.value is not None, first.failure
    assert first.cost["modelled_s"] <= 0.05 * 1.02
    verdict = json.loads(first.notes["verdict.json"])
    assert verdict["verdict"] == "counts"
    assert verdict["hashes"]["corpus"] == task.corpus.digest
    assert "output" not in verdict
    assert f"{SCRIPT}.diff" not in first.notes
    assert Outcome.from_json(json.loads(json.dumps(first.to_json()))) == first
    again = task.evaluate(None, Proposal({}), seed=3)
    assert (again.value, again.clock["cached"]) == (first.value, 1.0)


def test_a_crash_is_told_with_its_diff_and_what_was_printed(task: CpuGptCode) -> None:
    broken = script("print('so far')").replace("train(model)\njob", "train(modle)\njob")
    outcome = task.evaluate(None, Proposal({SCRIPT: broken}), seed=3)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.CRASH
    assert "name 'modle' is not defined" in outcome.failure.detail
    assert "so far\nTraceback" in outcome.notes["output.txt"]
    assert "+    train(modle)" in outcome.notes[f"{SCRIPT}.diff"]
    assert json.loads(outcome.notes["verdict.json"])["verdict"] == "does not count"
    assert outcome.metrics["steps"] == 0


def test_what_is_no_python_is_not_run(task: CpuGptCode) -> None:
    outcome = task.evaluate(None, Proposal({SCRIPT: "for x in y\n"}), seed=3)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.INVALID_PROPOSAL
    assert "line 1" in outcome.failure.detail
    with pytest.raises(SpaceError, match=f"at most {MAX_CHARS} characters"):
        task.configured(None, Proposal({SCRIPT: "#" * (MAX_CHARS + 1)}))


def test_a_damaged_corpus_is_not_the_trial_s_fault(
    task: CpuGptCode, tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "corpus"
    shutil.copytree(corpus.folder, copied)
    monkeypatch.setitem(vars(task), "corpus", Corpus(copied, corpus.vocab_size, corpus.digest))
    with (copied / TRAIN).open("ab") as file:
        file.write(b"xx")
    with pytest.raises(DamagedCorpus, match=r"train\.bin, while a trial was running"):
        task.evaluate(None, Proposal({}), seed=99)


def test_the_journal_keeps_the_script() -> None:
    own = CpuGptCode(name="code", budget_s=1, limit_s=1)
    assert own.render(own.space.baseline) == BASELINE.read_text()
    kept = CpuGptCode(name="code", budget_s=1, limit_s=1, script_text="x = 1\n")
    assert kept.material() == {"script_text": "x = 1\n"}
    assert kept.configured(None, Proposal({SCRIPT: "x = 2\n"})) == {SCRIPT: "x = 2\n"}


def test_it_is_not_run_without_a_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_handle, "missing", lambda layer: f"no {layer}")
    with pytest.raises(SandboxUnavailable, match="no sandlock; no bwrap"):
        CpuGptCode(name="code", budget_s=1, limit_s=1).ready()
