"""Summaries: one metric or a classified failure."""

import pytest

from bilevel.tasks.summary import Metric, failure, numbers, single
from bilevel.trace import FailureKind
from bilevel.workers.job import Finished

GOOD = "step 1\rstep 2\r\n---\nval_bpb:          1.25\nnum_steps:        42\ndevice: cpu\n"


def ended(output: str, code: int = 0, signal: int = 0, timed_out: bool = False) -> Finished:
    return Finished(code, signal, timed_out, 1.0, 900.0, output)


def test_a_summary_is_read() -> None:
    assert single(numbers(GOOD)) == {"val_bpb": 1.25, "num_steps": 42.0}
    assert failure(ended(GOOD), Metric("val_bpb"), 10) is None


@pytest.mark.parametrize(
    ("finished", "kind", "told"),
    [
        (ended("", timed_out=True, signal=9), FailureKind.TIMEOUT, "after 10 s"),
        (ended("x", signal=9), FailureKind.OUT_OF_MEMORY, "900 MiB"),
        (ended("x", signal=11), FailureKind.CRASH, "signal 11"),
        (ended("RuntimeError: can't allocate memory: 9", 1), FailureKind.OUT_OF_MEMORY, "allocate"),
        (ended("step 3\nFAIL\n", 1), FailureKind.DIVERGENCE, "FAIL"),
        (ended("Traceback\nValueError: shape\n", 1), FailureKind.CRASH, "ValueError: shape"),
        (ended("done\n"), FailureKind.NO_METRIC, "no lines 'val_bpb"),
        (ended(""), FailureKind.NO_METRIC, "it printed nothing"),
        (ended("val_bpb: 1\n" + GOOD), FailureKind.NO_METRIC, "2 lines"),
        (ended("val_bpb: nan\n"), FailureKind.DIVERGENCE, "nan"),
        (ended("val_bpb: inf\n"), FailureKind.DIVERGENCE, "inf"),
    ],
)
def test_failures_are_told_apart(finished: Finished, kind: FailureKind, told: str) -> None:
    found = failure(finished, Metric("val_bpb"), 10)
    assert found is not None
    assert found.kind is kind
    assert told in found.detail
