"""Commands by their names, those of before, and what is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from bilevel import __main__ as program
from bilevel.commands import COMMANDS

ROOT = Path(__file__).parents[1]
FORMERLY = sorted({*COMMANDS} - {"run"})


def helped(*words: str) -> str:
    command = [sys.executable, "-m", *words, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("name", FORMERLY)
def test_a_command_has_its_name_and_the_one_it_had(name: str) -> None:
    assert f"usage: python -m bilevel {name}" in helped("bilevel", name)
    assert helped(f"bilevel.{name}") == helped("bilevel", name)


def test_without_a_command_it_is_a_search() -> None:
    assert helped("bilevel") == helped("bilevel", "run")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("repotr", "'repotr' is no command; did you mean report? Valid: admit, aocc, measure, "),
        ("sweep", "'sweep' is no command. Valid: admit, aocc, measure, noise, promote, replay, "),
    ],
)
def test_what_is_no_command_is_told_with_those_there_are(
    word: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bilevel", word])
    assert program.main() == 2
    assert told in capsys.readouterr().err
