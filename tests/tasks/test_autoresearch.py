"""An autoresearch checkout: trained for real, refused before a launch, its evaluator held fixed."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from bilevel.config.checks import check
from bilevel.config.files import CONF
from bilevel.config.overrides import plain
from bilevel.errors import ConfigError, TaskError
from bilevel.tasks.autoresearch import Autoresearch
from bilevel.trace import FailureKind, Proposal

STAND_IN = Path(__file__).with_name("autoresearch_checkout")
Build = Callable[..., Autoresearch]


def checkout(place: Path, body: str | None = None) -> Path:
    """A copy of the stand-in; with a body, its script is the same constants and that body."""
    made = place / "checkout"
    shutil.copytree(STAND_IN, made, dirs_exist_ok=True)
    if body is not None:
        lines = (made / "train.py").read_text().splitlines()
        constants = [line for line in lines if re.match(r"[A-Z_]+ = ", line)]
        seeds = "class torch:\n    manual_seed = print\ntorch.manual_seed(42)"
        (made / "train.py").write_text("\n".join([*constants, seeds, body, ""]))
    return made


def task(
    place: Path, body: str | None = "print('val_bpb: 1.0')", *overrides: str, **rest: Any
) -> Autoresearch:
    """As the command makes it, from conf/task/autoresearch.yaml."""
    with initialize_config_dir(str(CONF), version_base=None):
        settings = plain(compose("config", ["task=autoresearch", *overrides]))
    settings["task"] |= {"command": [sys.executable, "{script}"], **rest}
    if "checkout" not in rest:
        settings["task"]["checkout"] = str(checkout(place, body))
    check(settings)
    assert settings["task"].pop("_target_") == "bilevel.tasks.Autoresearch"
    return Autoresearch(**settings["task"])


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    made: list[Autoresearch] = []

    def building(body: str | None = None, *overrides: str, **rest: Any) -> Autoresearch:
        made.append(task(tmp_path, body, *overrides, **rest))
        return made[-1]

    yield building
    for each in made:
        each.close()


def test_a_trial_trains_a_working_copy(build: Build, tmp_path: Path) -> None:
    made = build()
    made.ready()
    before = {path: path.read_bytes() for path in (tmp_path / "checkout").rglob("*.*")}
    outcome = made.evaluate(None, Proposal({"UNEMBEDDING_LR": 0.05}), seed=7)
    assert outcome.failure is None
    assert outcome.value is not None
    assert 4.0 < outcome.value < 4.55
    assert outcome.metrics == {"num_steps": 2.0, "depth": 8.0}
    assert outcome.clock["training_seconds"] > 0
    diff = outcome.notes["train.py.diff"]
    for line in ("UNEMBEDDING_LR = 0.05", "torch.manual_seed(7)", "torch.cuda.manual_seed(7)"):
        assert f"+{line}\n" in diff
    assert {path: path.read_bytes() for path in (tmp_path / "checkout").rglob("*.*")} == before


@pytest.mark.slow
def test_it_responds_to_its_constants_and_seeds_and_to_nothing_else(build: Build) -> None:
    made = build()

    def value(seed: int, **changes: object) -> float:
        outcome = made.evaluate(None, Proposal(changes), seed)
        assert outcome.value is not None
        return outcome.value

    start = value(1)
    assert value(1) == start
    assert value(2) != start
    assert value(1, TOTAL_BATCH_SIZE=2**19) > start > value(1, TOTAL_BATCH_SIZE=2**17)
    for changed in ({"MATRIX_LR": 0.2}, {"WINDOW_PATTERN": "SSSS"}, {"WEIGHT_DECAY": 0.0}):
        assert value(1, **changed) != start


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"TOTAL_BATCH_SIZE": 2**16, "DEVICE_BATCH_SIZE": 256},
            "no multiple of DEVICE_BATCH_SIZE=256 times 512 tokens, which is 131072; choose a "
            "larger TOTAL_BATCH_SIZE, or a DEVICE_BATCH_SIZE of at most 128",
        ),
        ({"WINDOW_PATTERN": "SXSL"}, "WINDOW_PATTERN='SXSL' is not made of S (short) and L (long)"),
    ],
)
def test_what_cannot_run_is_refused_without_a_launch(
    build: Build, tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    launched = tmp_path / "launched"
    made = build(
        f"open({str(launched)!r}, 'w')",
        "task.parameters.WINDOW_PATTERN.choices=[SSSL,SXSL]",
    )
    outcome = made.evaluate(None, Proposal(changes), seed=1)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.INVALID_PROPOSAL
    assert told in outcome.failure.detail
    assert not launched.exists()


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("print('\\rstep 3 | left: 9s    ', end=''); print('FAIL'); exit(1)", "divergence", "FAIL"),
        ("print('val_bpb:          nan')", "divergence", "val_bpb is nan"),
        (
            "raise MemoryError('CUDA out of memory. Tried to allocate 2.00 GiB')",
            "out_of_memory",
            "CUDA out of memory. Tried",
        ),
        ("exit(137)", "out_of_memory", "probably by the kernel"),
        ("import time; print('step 1'); time.sleep(99)", "timeout", "not done after 1 s"),
        ("print('\\rstep 1', end='\\rstep 2')", "no_metric", "the last line is: step 2"),
        ("assert TOTAL_BATCH_SIZE == 1, 'one'", "crash", "exit code 1: AssertionError: one"),
    ],
)
def test_failures_are_told_apart(build: Build, body: str, kind: str, told: str) -> None:
    outcome = build(body, limit_s=1 if kind == "timeout" else 60).evaluate(None, Proposal({}), 1)
    assert outcome.failure is not None
    assert outcome.failure.kind == kind
    assert told in outcome.failure.detail


def test_an_evaluator_that_changed_in_the_checkout_stops_the_search(
    build: Build, tmp_path: Path
) -> None:
    made = build("print('val_bpb: 1.0')")
    assert made.evaluate(None, Proposal({}), 1).value == 1.0
    with (tmp_path / "checkout" / "prepare.py").open("a") as file:
        file.write("TOKEN_BUDGET = 2**30\n")
    with pytest.raises(TaskError, match=r"git -C \S+/checkout checkout prepare\.py"):
        made.evaluate(None, Proposal({}), 2)


def test_an_evaluator_is_held_to_the_one_that_is_named(build: Build) -> None:
    with pytest.raises(TaskError, match=f"expected {'0' * 64}"):
        build(None, prepare_sha256="0" * 64).ready()
    made = build()
    sha256 = made.material()["prepare_sha256"]
    build(None, prepare_sha256=sha256).ready()


def test_a_script_that_replaced_its_evaluator_has_measured_itself(build: Build) -> None:
    made = build("open('prepare.py', 'a').write('#'); print('val_bpb: 0.1')")
    outcome = made.evaluate(None, Proposal({}), 1)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.INVALID_PROPOSAL
    assert "changed prepare.py while it ran" in outcome.failure.detail
    assert outcome.metrics["val_bpb"] == 0.1


def test_uv_is_given_the_environment_of_the_checkout(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a program that is called as uv is, and passes on the exit code as uv does."""
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f'#!/bin/sh\ntest "$1" = run && "{sys.executable}" "$2"\nexit $?\n')
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uv.parent}:{os.environ['PATH']}")
    body = (
        "import os; print(os.environ['UV_PROJECT_ENVIRONMENT'], os.environ['UV_NO_SYNC'], "
        "sorted(os.listdir('.')))\nos.kill(os.getpid(), 9)"
    )
    made = build(body, command=["uv", "run", "{script}"])
    with pytest.raises(TaskError, match="run `uv sync` in it once"):
        made.ready()
    (tmp_path / "checkout" / ".venv").mkdir()
    made.ready()
    outcome = made.evaluate(None, Proposal({}), 1)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.OUT_OF_MEMORY
    said = outcome.notes["output.txt"]
    files = "['prepare.py', 'pyproject.toml', 'train.py']"
    assert f"{tmp_path / 'checkout' / '.venv'} 1 {files}" in said


def test_what_is_not_there_is_told(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTORESEARCH", raising=False)
    with pytest.raises(TaskError, match=r"/nowhere has no train\.py and no prepare\.py; give"):
        build(None, checkout="/nowhere")
    with pytest.raises(TaskError, match="there is no program 'no-such-program'"):
        build(None, command=["no-such-program", "{script}"]).ready()
    with pytest.raises(ConfigError, match=r"never calls set_seed .* task\.seed_calls=\[\]"):
        build(None, seed_calls=["set_seed"])
    with pytest.raises(ConfigError, match=r"task\.checkout=None: .* variable AUTORESEARCH"):
        check_composed("task=autoresearch")


def check_composed(*overrides: str) -> None:
    with initialize_config_dir(str(CONF), version_base=None):
        check(plain(compose("config", list(overrides))))


def test_the_variable_names_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH", "/somewhere")
    check_composed("task=autoresearch")


def test_a_kept_script_needs_no_checkout_until_it_runs(build: Build) -> None:
    kept = build().material()
    made = build(None, checkout="/nowhere", **kept)
    assert made.space.baseline["TOTAL_BATCH_SIZE"] == 2**18
    assert made.material() == kept
    with pytest.raises(TaskError, match="/nowhere has no"):
        made.ready()


def test_a_script_that_cannot_run_as_it_is_stops_before_the_search(
    build: Build, tmp_path: Path
) -> None:
    made = build("pass", "+task.parameters.DEVICE_BATCH_SIZE.baseline=64")
    made.ready()
    place = tmp_path / "checkout" / "prepare.py"
    place.write_text(place.read_text().replace("MAX_SEQ_LEN = 512", "MAX_SEQ_LEN = 500"))
    with pytest.raises(TaskError, match=r"train\.py cannot run as it is: .* times 500 tokens"):
        build(None, checkout=str(place.parent)).ready()
