"""Summaries: one metric or a classified failure."""

import pytest

from bilevel.errors import ConfigError
from bilevel.tasks.summary import Metric, failure, no_disk, numbers, single
from bilevel.trace import FailureKind
from bilevel.workers.job import Finished

METRIC = Metric("val_bpb")
GOOD = "step 1\rstep 2\r\n---\nval_bpb:          1.25\nnum_steps:        42\ndevice: cpu\n"


def ended(
    output: str, code: int = 0, signal: int = 0, timed_out: bool = False, flooded: bool = False
) -> Finished:
    return Finished(code, signal, timed_out, 1.0, 900.0, output, flooded)


def test_a_summary_is_read() -> None:
    assert single(numbers(GOOD)) == {"val_bpb": 1.25, "num_steps": 42.0}
    assert failure(ended(GOOD), METRIC, 10) is None


@pytest.mark.parametrize(
    ("finished", "kind", "told"),
    [
        (ended("", timed_out=True, signal=9), FailureKind.TIMEOUT, "after 10 s"),
        (ended("x", signal=9), FailureKind.OUT_OF_MEMORY, "killed, probably by the kernel"),
        (ended("x", signal=11), FailureKind.CRASH, "signal 11"),
        (ended("RuntimeError: can't allocate memory: 9", 1), FailureKind.OUT_OF_MEMORY, "allocate"),
        (ended("x", 137), FailureKind.OUT_OF_MEMORY, "killed, probably by the kernel"),
        (ended("CUDA out of memory. Tried\n", 1), FailureKind.OUT_OF_MEMORY, "CUDA"),
        (ended("x", signal=9, flooded=True), FailureKind.CRASH, "more than 16 MiB"),
        (ended("step 3\nFAIL\n", 1), FailureKind.DIVERGENCE, "FAIL"),
        (ended("\rstep 2\rstep 3 | 9s    FAIL\n", 1), FailureKind.DIVERGENCE, "step 3"),
        (ended("Traceback\nValueError: shape\n", 1), FailureKind.CRASH, "ValueError: shape"),
        (ended("done\n"), FailureKind.NO_METRIC, "no lines 'val_bpb"),
        (ended(""), FailureKind.NO_METRIC, "it printed nothing"),
        (ended("val_bpb: 1\n" + GOOD), FailureKind.NO_METRIC, "2 lines"),
        (ended("val_bpb: nan\n"), FailureKind.DIVERGENCE, "nan"),
        (ended("val_bpb: inf\n"), FailureKind.DIVERGENCE, "inf"),
    ],
)
def test_failures_are_told_apart(finished: Finished, kind: FailureKind, told: str) -> None:
    found = failure(finished, METRIC, 10)
    assert found is not None
    assert found.kind is kind
    assert told in found.detail


def test_a_run_that_recovered_has_its_value() -> None:
    assert failure(ended("out of memory, halving\nFAIL once\n" + GOOD), METRIC, 10) is None


def test_a_pattern_finds_the_number_wherever_it_stands() -> None:
    metric = Metric("acc", r"accuracy[ =:]+(\S+)%")
    said = "epoch 1\rstep 9 | accuracy = 97.5% | 3 s\nacc: 3\n"
    assert metric.values(said) == [97.5]
    assert metric.values("accuracy = n/a%") == []
    assert failure(ended(said), metric, 10) is None
    told = failure(ended("done"), metric, 10)
    assert told is not None
    assert told.detail.startswith(r"no lines that match 'accuracy[ =:]+(\\S+)%', expected one")


@pytest.mark.parametrize("pattern", ["accuracy", "(a)(b)", "(a"])
def test_a_pattern_without_one_group_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"task\.metric_pattern="):
        Metric("acc", pattern)


@pytest.mark.parametrize(
    ("finished", "expected"),
    [
        (ended("OSError: [Errno 28] No space left on device: 'x'\n", 1), True),
        (ended("OSError: [Errno 30] Read-only file system: 'x'\n", 1), True),
        (ended("No space left on device\nValueError: 3\n", 1), False),
        (ended("No space left on device\n"), False),
    ],
)
def test_a_full_disk_is_told_from_a_crash(finished: Finished, expected: bool) -> None:
    assert no_disk(finished) is expected
