"""The ways in which edited scripts have cheated, each done for real in a confined process."""

import math
import re
from pathlib import Path

import pytest

from bilevel.sandbox.hosted import missing
from bilevel.tasks.cpu_gpt.corpus import VALIDATION, Corpus
from bilevel.tasks.cpu_gpt_code import judge
from bilevel.trace import FailureKind
from tests.tasks.cpu_gpt_code.conftest import HEAD, judged, script

pytestmark = pytest.mark.usefixtures("walled")

TRIES = """
import random, numpy as np
print("x" * 10**7)
def tried(what):
    try:
        print("REACHED", what())
    except (OSError, ImportError) as error:
        print("stopped by", type(error).__name__)
tried(lambda: open({validation!r}, "rb").read(9))
tried(lambda: np.fromfile({validation!r}, dtype="<u2"))
tried(lambda: __import__("bilevel.tasks.cpu_gpt.evaluate"))
tried(lambda: __import__("bilevel.tasks.cpu_gpt.corpus"))
draws = []
for seed in (1, 2):
    torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)
    g = torch.Generator().manual_seed(seed)
    draws.append([torch.rand(1).item(), torch.rand(1, generator=g).item(), np.random.rand(),
                  np.random.default_rng(seed).random(), random.random(),
                  random.Random(seed).random(), np.random.RandomState(seed).rand()])
print("PICKED" if draws[0] != draws[1] else "the same draws")
print("---\\nval_bpb: 0.01")
"""


def test_a_fake_metric_validation_data_another_evaluator_and_picked_seeds(
    tmp_path: Path, corpus: Corpus
) -> None:
    """One script that tries it all, early and again in its summary, and is judged as it is."""
    tries = TRIES.format(validation=str(corpus.folder / VALIDATION))
    summary = 'print("val_bpb: 0.02\\nval_bpb: 0.03")\n'
    found = judged(tmp_path, corpus, script(tries) + summary)
    assert found.kind is None, found.reason
    assert found.value is not None
    assert 0.5 < found.value < math.log2(corpus.vocab_size)
    assert found.output.count("stopped by") == 4
    assert len(found.output) == 4000
    assert "REACHED" not in found.output
    assert "the same draws" in found.output
    assert found.metrics["steps"] >= 1
    assert found.metrics["training_tokens"] == found.metrics["steps"] * 4 * 128
    assert 0 < found.modelled_s <= 0.1 * 1.02
    assert found.checks["worst_difference"] < 1e-5
    assert set(found.hashes) == {"script", "evaluator", "corpus", "weights"}
    assert all(len(digest) == 64 for digest in found.hashes.values())


REPLACED = """
from bilevel.tasks.cpu_gpt_code import seat
def forged(channel, model):
    import numpy as np
    request, raw = channel.take(1 << 30)
    if "load" in request:
        channel.give({"loaded": True})
        return
    tokens = np.frombuffer(raw, dtype="<i8").reshape(request["ask"])
    logits = np.zeros((*tokens.shape, job.vocab_size), dtype="<f4")
    following = np.roll(tokens, -1, axis=1)
    np.put_along_axis(logits, following[:, :, None], 30.0, axis=2)
    channel.give({"logits": list(logits.shape), "used_s": 1e-9}, logits.tobytes())
seat.answer = forged
"""
OFF = "from torch.utils._python_dispatch import _disable_current_modes\n"
FORGED_FRAME = """
import os
for descriptor in range(3, 32):
    try:
        os.write(descriptor, b"\\x00\\x00\\x00\\x10{\\"batch\\": 1e999 }")
    except OSError:
        pass
"""


@pytest.mark.parametrize(
    ("edited", "kind", "told"),
    [
        pytest.param(
            script(REPLACED),
            FailureKind.INVALID_PROPOSAL,
            "same prediction for the same past",
            id="answers of its own that look ahead",
        ),
        pytest.param(
            script(
                tail="try:\n    while True: train(model)\nexcept BaseException: pass\n"
                "job.hand_over(model)"
            ),
            FailureKind.TIMEOUT,
            "over the budget: stopped after 0.10",
            id="a loop of its own, and no exception to catch",
        ),
        pytest.param(
            script("torch.zeros(10**11)"),
            FailureKind.OUT_OF_MEMORY,
            "task.memory_mib",
            id="more memory than there is",
        ),
        pytest.param(
            script(
                OFF,
                "with _disable_current_modes():\n    for _ in range(99):\n        train(model)\n"
                "job.hand_over(model)",
            ),
            FailureKind.INVALID_PROPOSAL,
            "the counter was switched off",
            id="the counter switched off",
        ),
        pytest.param(
            script(
                OFF,
                "for _ in range(5):\n    inputs, targets = job.batch(64)\n"
                "    with _disable_current_modes():\n        model(inputs).sum().backward()\n"
                "job.hand_over(model)",
            ),
            FailureKind.INVALID_PROPOSAL,
            "predicting from one",
            id="the counter switched off between batches",
        ),
        pytest.param(
            script() + "job.hand_over(model)\n",
            FailureKind.CRASH,
            "hand_over was called twice",
            id="handed over early and again",
        ),
        pytest.param(
            script(FORGED_FRAME),
            FailureKind.INVALID_PROPOSAL,
            "not what was asked for|what was not asked for",
            id="frames of its own",
        ),
        pytest.param(
            HEAD + "for _ in job.meter:\n    train(modle)\n",
            FailureKind.CRASH,
            r"NameError: name 'modle' is not defined.*line 27\)",
            id="a crash, told with its line",
        ),
    ],
)
def test_what_does_not_count_is_told(
    edited: str, kind: FailureKind, told: str, tmp_path: Path, corpus: Corpus
) -> None:
    found = judged(tmp_path, corpus, edited)
    assert (found.value, found.kind) == (None, kind), found.reason
    assert re.search(told, found.reason), found.reason


def test_what_is_not_a_parameter_or_a_buffer_does_not_count(tmp_path: Path, corpus: Corpus) -> None:
    """Under the other wall, where there is one."""
    outside = """
    forward = Bigram.forward
    Bigram.scale = 0.5
    Bigram.forward = lambda self, tokens: self.scale * forward(self, tokens)
    """
    tail = "for progress in job.meter:\n    train(model)\n    model.scale += 1\n"
    edited = script(outside, tail + "job.hand_over(model)\n")
    layer = "confined" if missing("bwrap") else "bwrap"
    found = judged(tmp_path, corpus, edited, layer=layer)
    assert found.kind is FailureKind.INVALID_PROPOSAL, found.reason
    assert "with the same parameters and buffers" in found.reason


def test_a_run_that_hangs_is_stopped(tmp_path: Path, corpus: Corpus) -> None:
    found = judged(tmp_path, corpus, script("import time; time.sleep(999)"), limit_s=4)
    assert (found.kind, found.reason) == (FailureKind.TIMEOUT, "not done after 4 s and stopped")


def test_work_that_is_not_counted_is_bounded_by_processor_time(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "START_CPU_S", 0.5)
    found = judged(tmp_path, corpus, script("while True: pass"))
    assert found.kind is FailureKind.TIMEOUT
    assert "not counted" in found.reason


def test_a_process_that_cannot_start_is_not_the_script_s_fault(
    tmp_path: Path, corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "train.py"
    file.write_text(script())
    argv = [str(file), "--seed=3", "--budget-s=1", f"--corpus={corpus.folder}", "--memory-mib=64"]
    assert judge.main(argv) == 1
    assert "is task.memory_mib=64 enough?" in capsys.readouterr().err
