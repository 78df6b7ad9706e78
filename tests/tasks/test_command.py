"""Anybody's script: parameters, seeds and metrics wherever they are, in any language."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bilevel.errors import ConfigError, TaskError
from bilevel.tasks.command import CommandTask
from bilevel.trace import FailureKind, Proposal

PYTHON = """\
import random
RATE = 0.5  # the knob
random.seed(3)
print("epoch 1: loss = 9.0")
print(f"done: score = {100 - (RATE - 0.25) ** 2:.4f} points, {random.random()}")
"""
SHELL = """\
#!/bin/sh
# rate seed mode
case $3 in bad) echo "no such mode" >&2; exit 3;; esac
echo "loss: $1$2"
"""
RATE = {"type": "float", "low": 0.0, "high": 1.0}
Build = Callable[..., CommandTask]


def task(place: Path, source: str = PYTHON, file: str = "fit.py", **rest: Any) -> CommandTask:
    (place / file).write_text(source)
    settings: dict[str, Any] = {
        "name": "mine",
        "file": str(place / file),
        "command": [sys.executable, "{script}"],
        "metric": "score",
        "metric_pattern": r"score = (\S+) points",
        "direction": "maximize",
        "parameters": {"RATE": RATE},
        "limit_s": 20.0,
    }
    return CommandTask(**{**settings, **rest})


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    made: list[CommandTask] = []

    def building(source: str = PYTHON, file: str = "fit.py", **rest: Any) -> CommandTask:
        made.append(task(tmp_path, source, file, **rest))
        return made[-1]

    yield building
    for each in made:
        each.close()


def shell(build: Build, **rest: Any) -> CommandTask:
    settings: dict[str, Any] = {
        "command": ["./{script}", "{RATE}", "{seed}", "{MODE}"],
        "metric": "loss",
        "metric_pattern": None,
        "direction": "minimize",
        "parameters": {
            "RATE": {**RATE, "baseline": 0.5},
            "MODE": {"type": "choice", "choices": ["good", "bad"], "baseline": "good"},
        },
    }
    made = build(SHELL, "fit.sh", **{**settings, **rest})
    (made._script).chmod(0o755)
    return made


def test_a_constant_is_edited_and_the_pattern_finds_the_metric(build: Build) -> None:
    made = build()
    outcome = made.evaluate(None, Proposal({"RATE": 0.25}), seed=1)
    assert outcome.value == 100.0
    assert made.objective.better(100.0, 99.0)
    assert "-RATE = 0.5  # the knob\n+RATE = 0.25  # the knob\n" in outcome.notes["fit.py.diff"]
    assert outcome.notes["command.txt"].endswith("fit.py")


def test_a_shell_script_takes_its_parameters_from_the_command(build: Build) -> None:
    made = shell(build)
    made.ready()
    assert made.evaluate(None, Proposal({}), seed=7).value == 0.57
    outcome = made.evaluate(None, Proposal({"MODE": "bad", "RATE": 0.1}), seed=7)
    assert outcome.failure is not None
    assert outcome.failure.detail == "exit code 3: no such mode"
    assert outcome.notes["command.txt"] == "./fit.sh 0.1 7 bad"
    assert outcome.notes["fit.sh.diff"] == ""
    assert made.render({"RATE": 0.1, "MODE": "bad"}).startswith(
        "command: './{script}' '{RATE}' '{seed}' '{MODE}'\nRATE = 0.1\nMODE = 'bad'\n"
    )


def test_seed_calls_are_reseeded(build: Build) -> None:
    made = build(seed_calls=["random.seed"])
    outputs = []
    for seed in (1, 2, 1):
        outcome = made.evaluate(None, Proposal({}), seed)
        assert outcome.value == 99.9375
        assert f"+random.seed({seed})\n" in outcome.notes["fit.py.diff"]
        outputs.append(outcome)
    with pytest.raises(ConfigError, match=r"never calls manual_seed .* task\.seed_calls=\[\]"):
        build(seed_calls=["manual_seed"])


HANDED = """\
import os, random, sys
RATE = 0.5
SEED = 3
print("score =", [hash("a") % 997, int(os.environ.get("SEED", 0)), SEED][{0}], "points")
"""


@pytest.mark.parametrize(
    ("place", "rest", "told"),
    [
        (1, {"seed_variable": "SEED"}, "SEED=7 "),
        (2, {"seed_names": ["SEED"]}, ""),
        (0, {"seed_variable": "PYTHONHASHSEED"}, "PYTHONHASHSEED=7 "),
    ],
)
def test_a_seed_is_handed_over_by_name_or_variable(
    build: Build, place: int, rest: dict[str, Any], told: str
) -> None:
    made = build(HANDED.format(place), **rest)
    seven, again, eight = (made.evaluate(None, Proposal({}), seed) for seed in (7, 7, 8))
    assert seven.value == again.value != eight.value
    assert place == 0 or (seven.value, eight.value) == (7.0, 8.0)
    assert seven.notes["command.txt"].startswith(told)


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        (
            {"parameters": {"RAT": RATE}},
            r"neither a top-level constant of fit\.py \(it has: RATE\)",
        ),
        (
            {"parameters": {"DROP": RATE}, "command": ["sh", "{DROP}"]},
            "no constant of this name, so it needs a baseline",
        ),
        ({"command": ["sh", "{scrip}"]}, r"\{scrip\} stands for nothing; valid: \{RATE\}, \{scr"),
        ({"parameters": {"seed": RATE}}, r"\{seed\} has a meaning of its own"),
        ({"metric_pattern": "score = ("}, "is no regular expression"),
        ({"metric_pattern": "score"}, "has 0 groups; expected one"),
        ({"files": ["../secrets/*"]}, "does not lie beside fit.py"),
        ({"links": ["/etc"]}, "does not lie beside fit.py"),
        ({"cache": True, "links": ["data"]}, "turn one off"),
        ({"seed_names": ["RATE"]}, "RATE is a parameter too"),
        ({"file": "no.py", "source": "RATE = ["}, "it has: none"),
    ],
)
def test_what_cannot_be_used_is_told(build: Build, rest: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        build(**rest)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.py cannot be read as a script"):
        CommandTask(
            name="x",
            file=str(tmp_path / "no.py"),
            command=["sh"],
            metric="x",
            parameters={"RATE": RATE},
            limit_s=1.0,
        )


READS = """\
import os
RATE = 0.5
assert not os.path.islink("helper.txt") and os.path.islink("data")
open("helper.txt", "a").write("spoiled")
print("score =", len(os.listdir("data")) + float(os.environ["BONUS"]), "points")
"""


def test_files_are_copied_links_linked_and_named_variables_passed(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONUS", "0.5")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    (tmp_path / "helper.txt").write_text("whole")
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        (tmp_path / "data" / name).touch()
    made = build(READS, files=["*.txt", "*.py"], links=["data"], environment=["BONUS"])
    made.ready()
    assert made.evaluate(None, Proposal({"RATE": 0.1}), seed=1).value == 2.5
    assert (tmp_path / "helper.txt").read_text() == "whole"
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ({"environment": ["NOT_SET"]}, "task.environment names NOT_SET, which are not set"),
        ({"files": ["*.csv"]}, r"'\*\.csv' matches no file in"),
        ({"links": ["data"]}, "there is no 'data' in"),
        ({"command": ["no-such-program", "{script}"]}, "no program 'no-such-program'"),
        ({"links": ["fit.py"], "files": ["fit.py"]}, "into the linked 'fit.py'"),
    ],
)
def test_what_is_missing_is_told_before_the_first_trial(
    build: Build, rest: dict[str, Any], told: str
) -> None:
    with pytest.raises(TaskError, match=told):
        build(**rest).ready()


def test_the_cache_knows_the_command_and_the_files(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILEVEL_CACHE", str(tmp_path / "cache"))
    helper = tmp_path / "helper.txt"
    helper.write_text("one")

    def cached(**rest: Any) -> bool:
        made = build(cache=True, files=["*.txt"], **rest)
        return made.evaluate(None, Proposal({}), seed=1).clock.get("cached") == 1.0

    assert [cached(), cached()] == [False, True]
    assert not cached(command=[sys.executable, "-B", "{script}"])
    assert not cached(metric_pattern=r"score = (\S+)")
    helper.write_text("two")
    assert not cached()
    helper.write_text("one")
    assert cached()


def test_a_kept_script_needs_no_file(build: Build, tmp_path: Path) -> None:
    kept = build().material()
    made = build(file="gone.py", **kept)
    (tmp_path / "gone.py").unlink()
    assert made.material() == kept
    assert made.evaluate(None, Proposal({"RATE": 0.25}), seed=1).value == 100.0


def test_a_full_disk_is_nobody_s_failed_trial(build: Build) -> None:
    source = "RATE = 0.5\nraise OSError(28, 'No space left on device', 'model.pt')\n"
    with pytest.raises(TaskError, match=r"No space left on device.*repeat the command"):
        build(source).evaluate(None, Proposal({}), seed=1)


def test_a_folder_that_cannot_be_made_is_told(
    build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(TaskError, match=r"no folder for a trial can be made.*TMPDIR"):
        build().evaluate(None, Proposal({}), seed=1)


def test_a_script_may_tidy_up_its_folder(build: Build) -> None:
    source = "import glob, os\nRATE = 0.5\nfor old in glob.glob('*.log'): os.remove(old)\n"
    made = build(
        f"{source}open('output.log', 'w').write('own')\nprint('score =', RATE, 'points')\n"
    )
    assert made.evaluate(None, Proposal({}), seed=1).value == 0.5


def test_a_metric_that_is_printed_twice_is_none(build: Build) -> None:
    outcome = build(metric_pattern=r"(?:loss|score) = (\S+)").evaluate(None, Proposal({}), seed=1)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.NO_METRIC
    assert "2 lines that match" in outcome.failure.detail
