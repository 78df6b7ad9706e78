"""The promise of the harness: same script, seed and budget, same bits; and no run fails quietly."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bilevel.tasks.cpu_gpt import harness
from bilevel.tasks.cpu_gpt.corpus import Corpus
from tests.tasks.cpu_gpt.conftest import (
    SMALL,
    Finished,
    edited,
    harness_args,
    harness_command,
    run,
)

FORK_FROM_A_WARM_PARENT = """
import os, sys
from bilevel.tasks.cpu_gpt import harness
harness.preload()
child = os.fork()
if child == 0:
    code = harness.main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_same_bits_alone_forked_and_loaded(tmp_path: Path, corpus: Corpus) -> None:
    script = edited(tmp_path)
    alone = run(harness_command(script, corpus))
    assert alone.code == 0, alone.err
    assert len(alone.result) == 3
    forked = run([sys.executable, "-c", FORK_FROM_A_WARM_PARENT, *harness_args(script, corpus)])
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        loaded = run(harness_command(script, corpus))
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert forked.result == alone.result
    assert loaded.result == alone.result


def test_counting_every_step_changes_nothing(
    tmp_path: Path, corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    script = edited(tmp_path)
    once = in_process(script, corpus, 0.1, capsys)
    always = in_process(script, corpus, 0.1, capsys, "--count-every-step")
    assert once.code == 0, once.err
    assert always.result == once.result


def test_micro_batches_change_neither_data_nor_schedule(
    tmp_path: Path, corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    values = []
    for rows in ("4", "2"):
        folder = tmp_path / rows
        folder.mkdir()
        script = edited(folder, SMALL | {"DEVICE_BATCH_SIZE": rows})
        done = in_process(script, corpus, 0.01, capsys)
        values.append(float(done.result[1].split()[1]))
    assert values[0] == pytest.approx(values[1], abs=1e-3)


def in_process(
    script: Path,
    corpus: Corpus,
    budget_s: float,
    capsys: pytest.CaptureFixture[str],
    *more: str,
) -> Finished:
    capsys.readouterr()
    code = harness.main(harness_args(script, corpus, *more, budget_s=budget_s))
    printed = capsys.readouterr()
    return Finished(code, printed.out, printed.err)


def test_a_run_that_diverges_says_fail_and_exits_1(
    tmp_path: Path, corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    script = edited(tmp_path, SMALL | {"MATRIX_LR": 'float("nan")'})
    done = in_process(script, corpus, 0.2, capsys)
    assert done.code == 1
    assert "FAIL" in done.out.splitlines()
    assert "val_bpb" not in done.out


SCRIPT_HEAD = """
import torch
from bilevel.tasks.cpu_gpt.job import current_job
job = current_job()
w = torch.zeros(job.vocab_size, job.vocab_size)
def model(tokens):
    return w[tokens]
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("for _ in job.meter: w + 1", "without hand_over"),
        ("job.hand_over(model)", "no step of its meter"),
        ("job.hand_over(3)", "expected a callable model"),
        (
            "for _ in job.meter: job.batch(1)\njob.hand_over(lambda t: w[t][:, :, :5])",
            "expected (1",
        ),
        ("for _ in job.meter: job.batch(1)\nw[:] = float('nan')\njob.hand_over(model)", "nan"),
        (
            "for _ in job.meter: job.batch(1)\nw.normal_()\n"
            "job.hand_over(lambda t: w[t] + w[t].mean(1, keepdim=True))",
            "depend on tokens that come later",
        ),
        ("for _ in job.meter: torch.rand(4000, 4000)", "more than"),
        ("for _ in job.meter: job.batch(1)\njob.hand_over(lambda t: 1 / 0)", "ZeroDivisionError"),
        ("raise KeyError('mine')", "KeyError: 'mine'"),
        ("import sys; sys.exit('enough')", "enough"),
    ],
)
def test_failures_are_explained(
    body: str, said: str, tmp_path: Path, corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT_HEAD) + body + "\n")
    done = in_process(script, corpus, 1e-4, capsys)
    assert done.code == 1
    assert said in done.err
    assert "val_bpb" not in done.out


def test_no_validation_token_is_read_before_the_model_is_handed_over(
    tmp_path: Path,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    read: list[str] = []
    real = Corpus.validation_tokens

    def spy(self: Corpus) -> object:
        read.append("validation")
        return real(self)

    monkeypatch.setattr(Corpus, "validation_tokens", spy)
    script = edited(tmp_path, SMALL | {"MATRIX_LR": 'float("nan")'})
    assert in_process(script, corpus, 0.2, capsys).code == 1
    assert read == []
    assert in_process(edited(tmp_path), corpus, 0.01, capsys).code == 0
    assert read == ["validation"]


def test_bad_arguments_return_instead_of_leaving(capsys: pytest.CaptureFixture[str]) -> None:
    assert harness.main(["script.py"]) == 2
    assert "--seed" in capsys.readouterr().err


def test_a_damaged_corpus_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = harness.main(
        [str(edited(tmp_path)), "--seed", "1", "--budget-s", "1", "--corpus", str(tmp_path)]
    )
    assert code == 1
    assert "meta.json" in capsys.readouterr().err
