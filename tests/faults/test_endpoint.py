"""Servers that fail in the middle of a search: one clear line, and the same command goes on."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bilevel.journal import Data, read
from tests.faults.commands import Commands, Ran, journal
from tests.faults.endpoint_faults import ATTEMPTS, LASTING, PASSING, PATIENT_S, TRIAL, Fault, well
from tests.faults.replies import good, proposal
from tests.faults.server import TRIALS, Act, Asked, Server, refuses, says
from tests.llm.support import KEY, KEY_ENV

JOURNAL = Path("mlruns/searches/s/level1-seed1/journal.jsonl")
SETTINGS = (
    "study=s",
    f"search.trials={TRIALS}",
    "task=trap",
    "task.noise_sd=0",
    "tracking=none",
    "llm=local",
    "llm._target_=tests.faults.commands.hurried_client",
    f"llm.max_attempts={ATTEMPTS}",
    f"llm.timeout_s={PATIENT_S}",
)


def cases(faults: Iterable[Fault]) -> list[Any]:
    slow = {True: [pytest.mark.slow], False: []}
    return [pytest.param(fault, id=fault.name, marks=slow[fault.slow]) for fault in faults]


class Failing:
    """A script: one trial's question meets the acts of a fault, everything else is answered."""

    def __init__(self, fault: Fault) -> None:
        self._acts = list(fault.acts)

    def __call__(self, asked: Asked) -> Act:
        if asked.trial == TRIAL and self._acts:
            return self._acts.pop(0)
        return well(asked.trial)


def run(command: Commands, folder: Path, server: Server, *more: str, **variables: str) -> Ran:
    ran = command(folder, *SETTINGS, f"llm.base_url={server.url}", *more, **variables)
    assert "Traceback" not in ran.err
    return ran


@pytest.fixture(scope="module")
def unbroken(command: Commands, tmp_path_factory: pytest.TempPathFactory) -> list[Data]:
    folder = tmp_path_factory.mktemp("unbroken")
    with Server(lambda asked: well(asked.trial)) as server:
        assert run(command, folder, server).code == 0
    return journal(folder)


@pytest.mark.parametrize("fault", cases(PASSING))
def test_what_passes_is_waited_out(
    command: Commands, tmp_path: Path, fault: Fault, unbroken: list[Data]
) -> None:
    with Server(Failing(fault)) as server:
        ran = run(command, tmp_path, server, f"llm.timeout_s={fault.timeout_s}")
    assert ran.code == 0, ran.err
    assert journal(tmp_path) == unbroken
    [met] = [e for e in read(tmp_path / JOURNAL) if e["key"] == f"L1/T{TRIAL}/propose/0/0"]
    least, most = fault.waited_s
    assert least <= met["data"]["clock"]["waited_s"] <= most
    assert met["data"]["clock"]["attempts"] == len(fault.acts) + 1


@pytest.mark.parametrize("fault", cases(LASTING))
def test_what_lasts_ends_the_search_which_the_same_command_continues(
    command: Commands, tmp_path: Path, fault: Fault, unbroken: list[Data]
) -> None:
    with Server(Failing(fault)) as server:
        stopped = run(command, tmp_path, server, f"llm.timeout_s={fault.timeout_s}")
        assert stopped.code == 1, stopped.err
        assert re.search(fault.told, stopped.stop_line)
        assert server.url in stopped.stop_line
        kept = journal(tmp_path)
        assert kept == unbroken[: len(kept)]
        assert [e["key"] for e in kept if e["kind"] == "trial"] == ["L1/T0", "L1/T1", "L1/T2"]
        before = len(server.asked)
        if "gone" in fault.name:
            server.come_back()
        continued = run(command, tmp_path, server)
        assert continued.code == 0, continued.err
        assert len(server.asked) - before == TRIALS + 1 - TRIAL
    assert journal(tmp_path) == unbroken


def test_tokens_that_are_not_reported_are_estimated_and_marked(
    command: Commands, tmp_path: Path
) -> None:
    def script(asked: Asked) -> Act:
        return says(good(asked.trial), usage=asked.trial != TRIAL)

    with Server(script) as server:
        assert run(command, tmp_path, server).code == 0
    replies = [entry["data"] for entry in journal(tmp_path) if entry["kind"] == "reply"]
    assert [reply["estimated"] for reply in replies] == [False, False, True, False]
    assert [reply["prompt_tokens"] for reply in replies if not reply["estimated"]] == [11] * 3
    assert replies[TRIAL - 1]["prompt_tokens"] > 100
    assert replies[TRIAL - 1]["completion_tokens"] > 10


KEYED = f"llm.api_key_env={KEY_ENV}"


def seen(folder: Path) -> str:
    """Everything that a command printed or left behind, databases too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


def echoes(asked: Asked) -> Act:
    """A server that repeats the key it was given: in a reply, and when it refuses it."""
    if asked.trial < TRIAL:
        return says(proposal(("WEIGHT_DECAY", 0.2 - asked.trial / 50), hypothesis=f"Use {KEY}."))
    return refuses(401, f"Incorrect API key provided: {KEY}")


def test_a_wrong_key_is_told_and_never_shown(
    command: Commands, tmp_path: Path, unbroken: list[Data]
) -> None:
    with Server(lambda asked: refuses(401, f"Incorrect API key provided: {KEY}")) as server:
        refused = run(command, tmp_path, server, KEYED, **{KEY_ENV: KEY})
        assert len(server.asked) == 1
        assert refused.code == 1
        told = rf"401: Incorrect API key provided: \[the key\]; check the key in .*{KEY_ENV}"
        assert re.search(told, refused.stop_line)
        assert KEY not in seen(tmp_path)
        server.script = lambda asked: well(asked.trial)
        assert run(command, tmp_path, server, KEYED, **{KEY_ENV: "another"}).code == 0
    assert journal(tmp_path) == unbroken


@pytest.mark.slow
def test_a_key_that_the_server_repeats_is_not_journalled_nor_tracked(
    command: Commands, tmp_path: Path
) -> None:
    with Server(echoes) as server:
        ran = run(command, tmp_path, server, KEYED, "tracking=mlflow", **{KEY_ENV: KEY})
    assert ran.code == 1
    everything = seen(tmp_path)
    assert "Use [the key]." in everything
    assert KEY not in everything
    assert (tmp_path / "mlruns" / "mlflow.db").exists()
