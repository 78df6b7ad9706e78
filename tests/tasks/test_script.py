"""A script task over a real script in real processes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bilevel.errors import TaskError
from bilevel.space import Config
from bilevel.tasks.outcome_cache import OutcomeCache
from bilevel.tasks.script import ScriptTask
from bilevel.trace import FailureKind, Objective, Proposal
from bilevel.workers.job import WorkerJob
from bilevel.workers.pool import ForkedRunner

SCRIPT = """\
RATE = 0.5  # the knob
MODE = "fine"
with open("ran", "a") as file:
    file.write("x")
if MODE == "crash":
    raise RuntimeError("no such mode")
print("---")
print("val_bpb:", (RATE - 0.25) ** 2)
print("total_seconds: 1.5")
print("num_steps: 7")
print("modelled_seconds: 3.0")
"""
PARAMETERS: dict[str, dict[str, Any]] = {
    "RATE": {"type": "float", "low": 0.0, "high": 1.0},
    "MODE": {"type": "choice", "choices": ["fine", "crash"]},
}


class PythonScript(ScriptTask):
    ran = 0

    def job(self, folder: Path, config: Config, seed: int) -> WorkerJob:
        self.ran += 1
        return WorkerJob(["python3", "toy.py"], folder, self.limit_s)

    def identity(self) -> Mapping[str, Any]:
        return {"python": 3}

    def facts(self) -> str:
        return "A toy."


def task(folder: Path, source: str = SCRIPT, **rest: Any) -> PythonScript:
    (folder / "toy.py").write_text(source)
    return PythonScript(
        name="toy",
        script=folder / "toy.py",
        parameters=PARAMETERS,
        locked=(),
        objective=Objective("val_bpb"),
        runner=ForkedRunner(),
        limit_s=20.0,
        **rest,
    )


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[PythonScript]:
    made = task(tmp_path, cache=OutcomeCache(tmp_path / "cache"))
    yield made
    made.close()


def test_a_trial_edits_runs_and_reads(toy: PythonScript) -> None:
    outcome = toy.evaluate(None, Proposal({"RATE": 0.75}), seed=1)
    assert outcome.value == 0.25
    assert outcome.metrics == {"num_steps": 7.0}
    assert outcome.cost == {"modelled_s": 3.0}
    assert outcome.clock["total_seconds"] == 1.5
    assert "-RATE = 0.5  # the knob\n+RATE = 0.75  # the knob\n" in outcome.notes["toy.py.diff"]
    assert toy.render(toy.space.baseline) == SCRIPT


def test_a_crash_is_a_failure_with_its_output(toy: PythonScript) -> None:
    outcome = toy.evaluate(None, Proposal({"MODE": "crash"}), seed=1)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.CRASH
    assert "no such mode" in outcome.failure.detail
    assert "Traceback" in outcome.notes["output.txt"]


def test_what_was_measured_once_is_not_measured_again(toy: PythonScript) -> None:
    first = toy.evaluate(None, Proposal({"RATE": 0.75}), seed=1)
    again = toy.evaluate(None, Proposal({"RATE": 0.75}), seed=1)
    assert (toy.ran, again.value, again.cost) == (1, first.value, first.cost)
    assert again.clock == {"wall_s": 0.0, "cached": 1.0}
    toy.evaluate(None, Proposal({"RATE": 0.75}), seed=2)
    assert toy.ran == 2
    crash = Proposal({"MODE": "crash"})
    toy.evaluate(None, crash, seed=1)
    toy.evaluate(None, crash, seed=1)
    assert toy.ran == 4


def test_a_damaged_cache_entry_is_measured_again(toy: PythonScript, tmp_path: Path) -> None:
    toy.evaluate(None, Proposal({}), seed=1)
    [entry] = (tmp_path / "cache").rglob("*.json")
    entry.write_text('{"value": 1')
    assert toy.evaluate(None, Proposal({}), seed=1).value == 0.0625
    assert toy.ran == 2


def test_a_script_without_the_constants_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no top-level constant MODE; it has: RATE"):
        task(tmp_path, source="RATE = 0.5\n")


def test_a_number_that_a_failed_run_printed_is_kept(tmp_path: Path) -> None:
    made = task(tmp_path, source=SCRIPT + "raise SystemExit(3)\n")
    outcome = made.evaluate(None, Proposal({"RATE": 0.75}), seed=1)
    made.close()
    assert outcome.failure is not None
    assert outcome.failure.detail == "exit code 3: modelled_seconds: 3.0"
    assert outcome.value is None
    assert outcome.metrics == {"val_bpb": 0.25, "num_steps": 7.0}


def test_a_kept_script_is_not_read_again(tmp_path: Path) -> None:
    made = task(tmp_path)
    kept = made.material()
    (tmp_path / "elsewhere").mkdir()
    again = task(tmp_path / "elsewhere", source="other = 1\n", **kept)
    assert again.render({"RATE": 0.25, "MODE": "fine"}) == SCRIPT.replace("0.5", "0.25", 1)
    for one in (made, again):
        one.close()


@pytest.mark.parametrize("broken", ["read", "write"])
def test_a_cache_that_cannot_be_used_costs_no_outcome(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    place = tmp_path / "cache"
    made = task(tmp_path, cache=OutcomeCache(place))
    if broken == "write":
        (place / "outcomes").mkdir(parents=True)
        for number in range(256):
            (place / "outcomes" / f"{number:02x}").symlink_to("/proc/nowhere")
    else:
        place.write_text("no folder")
    outcomes = [made.evaluate(None, Proposal({"RATE": 0.75}), seed) for seed in (1, 2)]
    made.close()
    assert [outcome.value for outcome in outcomes] == [0.25, 0.25]
    [told] = caplog.messages
    assert "the search goes on without it" in told
    assert "BILEVEL_CACHE" in told


def test_it_tells_what_a_run_is_what_constants_mean_and_where_they_are_used(tmp_path: Path) -> None:
    source = "RATE = 0.5  # of learning\nMODE = 'fine'\n\n\ndef use():\n    return RATE\n"
    about = task(tmp_path, source + "\n\ndef other(a):\n    b = a\n    return b\n").describe()
    assert about.facts == "A toy."
    assert about.meanings == {"RATE": "of learning"}
    assert about.source == "def use():\n    return RATE\n\n\ndef other(a): ...\n"
