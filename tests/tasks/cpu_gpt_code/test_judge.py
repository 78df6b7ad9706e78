"""The ways in which edited scripts have cheated, each done for real in a confined process."""

import math
import re
from pathlib import Path

import pytest

from bilevel.sandbox.worker_handle import CONFINING, missing
from bilevel.tasks.cpu_gpt.corpus import VALIDATION, Corpus
from bilevel.tasks.cpu_gpt.identity import SCRIPT
from bilevel.tasks.cpu_gpt_code import confinement, judge
from bilevel.tasks.cpu_gpt_code.model_questions import UNTOLD
from bilevel.trace import FailureKind
from tests.tasks.cpu_gpt_code.conftest import HEAD, TAIL, judged, script

pytestmark = pytest.mark.usefixtures("walled")


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Where the text could be read: packages of other environments, and, as if the corpus were
    made from it, one of this environment."""
    monkeypatch.setattr(confinement, "TOLD_BY", ("cmaes", "no_such_package"))
    found = confinement.hidden()
    assert any(place.endswith("/cmaes") for place in found)
    return found


TRIES = """
import _random, os, random, numpy as np
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
for place in {hidden!r}:
    tried(lambda: os.listdir(place))
def moved(what, draw):
    return [(draw(), what())[1] for _ in (1, 2, 3)]
states = moved(torch.get_rng_state, lambda: torch.rand(3))
kept, held = moved(np.random.get_state, np.random.rand), moved(random.getstate, random.random)
draws = []
for seed in (1, 2):
    torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)
    g = torch.Generator().manual_seed(seed)
    draws.append([torch.rand(1).item(), torch.rand(1, generator=g).item(), np.random.rand(),
                  np.random.default_rng(seed).random(), random.random(),
                  random.Random(seed).random(), np.random.RandomState(seed).rand(),
                  np.random.Generator(np.random.PCG64(seed)).random(),
                  np.random.Generator(np.random._pcg64.PCG64(seed)).random(),
                  np.random.mtrand.RandomState(seed).rand(), _random.Random(seed).random()])
    torch.set_rng_state(states[seed]), np.random.set_state(kept[seed]), random.setstate(held[seed])
    draws[-1] += [torch.rand(1).item(), np.random.rand(), random.random()]
print("PICKED" if draws[0] != draws[1] else "the same draws")
print("---\\nval_bpb: 0.01")
"""


def test_a_fake_metric_validation_data_another_evaluator_and_picked_seeds(
    tmp_path: Path, corpus: Corpus, texts: tuple[str, ...]
) -> None:
    """One script that tries it all, early and again in its summary, and is judged as it is."""
    tries = TRIES.format(validation=str(corpus.folder / VALIDATION), hidden=texts)
    summary = 'print("val_bpb: 0.02\\nval_bpb: 0.03")\n'
    found = judged(tmp_path, corpus, script(tries) + summary)
    assert found.kind is None, found.reason
    assert found.value is not None
    assert 0.5 < found.value < math.log2(corpus.vocab_size)
    assert found.output.count("stopped by") == 4 + len(texts)
    assert len(found.output) == 4000
    assert "REACHED" not in found.output
    assert "the same draws" in found.output
    assert found.metrics["steps"] >= 1
    assert found.metrics["training_tokens"] == found.metrics["steps"] * 4 * 128
    assert 0 < found.modelled_s <= 0.1 * 1.02
    assert found.checks["worst_difference"] < 1e-5
    assert set(found.hashes) == {"script", "evaluator", "corpus", "weights"}
    assert all(len(digest) == 64 for digest in found.hashes.values())
    assert found.layer in CONFINING


REPLACED = """
    plain = Bigram.forward
    def forward(self, tokens):
        if not handed:
            return plain(self, tokens)
        logits = torch.zeros(*tokens.shape, job.vocab_size)
        return logits.scatter(-1, torch.roll(tokens, -1, 1)[:, :, None], 30.0)
    handed, Bigram.forward = [], forward
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


CHECKED = """
    asked, plain = [], Bigram.forward
    def forward(self, tokens):
        logits = plain(self, tokens)
        if asked and not self.trained:
            return logits * float("nan")
        return logits.scatter(-1, torch.roll(tokens, -1, 1)[:, :, None], 30.0) if asked else logits
    Bigram.forward, Bigram.trained = forward, False
"""
UNCOUNTED = """
    def forward(self, tokens):
        return kept
"""
SPELLING = """
    handed, plain = [], Bigram.forward
    def forward(self, tokens):
        handed and handed.append(tokens)
        if len(handed) > {questions}:
            {fails}
        return plain(self, tokens)
    Bigram.forward = forward
"""


@pytest.mark.parametrize(
    ("fails", "kind"),
    [
        ("raise ValueError(tokens[0].tolist())", FailureKind.CRASH),
        ("return tokens[0]", FailureKind.CRASH),
        pytest.param(
            "raise type(str(tokens[0].tolist()), (Exception,), dict())",
            FailureKind.CRASH,
            marks=pytest.mark.nightly,
        ),
        (
            "import os; os.write(2, str(tokens[0]).encode()); os._exit(3)",
            FailureKind.CRASH,
        ),
    ],
)
def test_nothing_is_told_by_whoever_saw_the_validation_text(
    fails: str, kind: FailureKind, tmp_path: Path, corpus: Corpus
) -> None:
    """The first question is about random tokens, where a failure is told, and shown here to be."""
    tail = "for _ in job.meter:\n    train(model)\njob.hand_over(model)\nhanded.append(0)"
    found = judged(tmp_path, corpus, script(SPELLING.format(fails=fails, questions=2), tail))
    assert (found.value, found.kind) == (None, kind)
    assert UNTOLD in found.reason
    assert len(re.findall(r"\d+", found.reason.replace(UNTOLD, ""))) <= 1  # an exit code
    told = judged(tmp_path, corpus, script(SPELLING.format(fails=fails, questions=1), tail))
    assert told.kind is kind
    assert UNTOLD not in told.reason
    assert re.search(r"\d+, \d+|exit|expected \[16, 128", told.reason), told.reason


@pytest.mark.parametrize(
    ("edited", "kind", "told"),
    [
        pytest.param(
            script(REPLACED, f"{TAIL}handed.append(1)"),
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
            FailureKind.TIMEOUT,
            "over the budget: stopped after 0.10",
            id="the counter taken away in the usual way, which does nothing",
        ),
        pytest.param(
            script(
                tail="for _ in range(5):\n    inputs, targets = job.batch(64)\n"
                "    model(inputs[:9]).sum().backward()\njob.hand_over(model)",
            ),
            FailureKind.INVALID_PROPOSAL,
            "forward and backward take at least 1.5 times as much as predicting",
            id="tokens taken and not used",
        ),
        pytest.param(
            script() + "job.hand_over(model)\n",
            FailureKind.CRASH,
            "hand_over was called twice",
            id="handed over early and again",
        ),
        pytest.param(
            script(
                CHECKED,
                "for _ in job.meter:\n    train(model)\n    model.trained = True\n"
                "job.hand_over(model)\nasked.append(1)",
            ),
            FailureKind.INVALID_PROPOSAL,
            "a log-probability differed by nan",
            id="silent where it is checked",
        ),
        pytest.param(
            script(tail="for _ in job.meter:\n    train(model)\njob.hand_over(lambda t: t)"),
            FailureKind.CRASH,
            "expected a torch.nn.Module",
            id="no model",
        ),
        pytest.param(
            script(
                UNCOUNTED,
                f"{TAIL}kept = torch.zeros(16, 128, job.vocab_size)\nBigram.forward = forward",
            ),
            FailureKind.INVALID_PROPOSAL,
            "predicts without one counted operation",
            id="predictions that nobody counts",
        ),
        pytest.param(
            script(tail="job.hand_over(model)"),
            FailureKind.NO_METRIC,
            "trained on nothing",
            id="trained on nothing",
        ),
        pytest.param(
            script(
                tail="for _ in job.meter:\n    last = train(model)\nprint(last)\n"
                "job.hand_over(model)"
            ),
            FailureKind.CRASH,
            "in the second run.*NameError: name 'last'",
            id="a script that needs a step",
        ),
        pytest.param(
            script('print("FAIL")\nraise SystemExit(1)'),
            FailureKind.DIVERGENCE,
            "the loss diverged",
            id="a script that gives up",
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


def test_what_is_not_a_parameter_or_a_buffer_does_not_count(
    tmp_path: Path, corpus: Corpus, texts: tuple[str, ...]
) -> None:
    """Under the other wall, where there is one; it hides the text too."""
    outside = f"""
    import os
    for place in {texts!r}:
        assert not os.path.exists(place) or not os.listdir(place), place
    forward = Bigram.forward
    Bigram.scale = 0.5
    Bigram.forward = lambda self, tokens: self.scale * forward(self, tokens)
    """
    tail = "for progress in job.meter:\n    train(model)\n    model.scale += 1\n"
    edited = script(outside, tail + "job.hand_over(model)\n")
    if missing("bwrap"):
        pytest.skip(missing("bwrap"))
    found = judged(tmp_path, corpus, edited, layer="bwrap")
    assert found.kind is FailureKind.INVALID_PROPOSAL, found.reason
    assert "with the same parameters and buffers" in found.reason


@pytest.mark.slow
def test_what_the_unedited_script_costs_has_not_moved(tmp_path: Path, corpus: Corpus) -> None:
    """Measurements of edits rest on it: the steps that a budget has, to the last byte."""
    found = judged(tmp_path, corpus, SCRIPT.read_text(), budget_s=1.2)
    assert found.kind is None, found.reason
    assert found.modelled_s == pytest.approx(0.9275236355232, rel=1e-12)
    assert found.metrics == {"steps": 2.0, "training_tokens": 16384.0}
    assert found.counts == {
        "mm_macs": 24577572864,
        "bmm_macs": 4479516672,
        "bytes": 5208416016,
        "softmax_bytes": 413728768,
        "slow_bytes": 4528384,
        "calls": 7480,
    }


@pytest.mark.slow
def test_an_edit_with_torch_s_own_optimiser_counts(tmp_path: Path, corpus: Corpus) -> None:
    """It imports the compiler, which wants a place to write, and defines operations."""
    edited = script(
        "optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)\n",
        """
        for progress in job.meter:
            inputs, targets = job.batch(4)
            logits = model(inputs).flatten(0, 1)
            optimiser.zero_grad()
            nn.functional.cross_entropy(logits, targets.flatten()).backward()
            optimiser.step()
        job.hand_over(model)
        """,
    )
    found = judged(tmp_path, corpus, edited, budget_s=0.2)
    assert found.kind is None, found.reason
    assert found.metrics["steps"] > 1


def test_a_run_that_hangs_is_stopped(tmp_path: Path, corpus: Corpus) -> None:
    found = judged(tmp_path, corpus, script("import time; time.sleep(999)"), limit_s=4)
    assert (found.kind, found.reason) == (FailureKind.TIMEOUT, "not done after 4 s and stopped")


def test_work_that_is_not_counted_is_bounded_by_processor_time(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "ANSWERING_CPU_S", 0.5)
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
