"""What is said of mechanisms that come out otherwise each time is the same each time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.admission.planted import PLANTED

ROOT = Path(__file__).parents[2]
TWICE = "a second worker, given the same, did otherwise"
SAID = {
    **dict.fromkeys(PLANTED, TWICE),
    "the second": "datetime64 asks a clock",
    "an exception by chance": "propose raised ValueError at line 16: `if draw.random() < 0.3: ra",
    "an exception's text": "propose raised ValueError: at ... at line 15",
    "an exception's time": "what it said about that was not the same in a second worker",
    "an exception of an object": "raised KeyError: <mechanism_source.Box object at 0x...>",
    "the time of its reading": "reading the module or __init__ raised ValueError: ... at line 16",
    "the end of its process": "propose ended its worker process",
}


@pytest.mark.nightly
def test_two_processes_say_the_same_of_what_is_never_the_same() -> None:
    command = [sys.executable, "-m", "tests.admission.planted"]
    running = [
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE
        )
        for seed in ("1", "2")
    ]
    one, other = (process.communicate()[0] for process in running)
    assert one == other
    found = {name: made["verdicts"][-1] for name, made in json.loads(one).items()}
    reasons = {name: verdict["reason"] for name, verdict in found.items()}
    assert {name: SAID[name] in reason for name, reason in reasons.items()} == dict.fromkeys(
        PLANTED, True
    ), reasons
    assert not [name for name, verdict in found.items() if verdict["passed"]]
