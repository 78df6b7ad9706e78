"""The admission as a command: a line a gate, JSON last, and the exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bilevel.admission import GATES
from bilevel.commands.admit import main
from bilevel.invention import Admission
from bilevel.sandbox.worker_handle import CONFINING, missing
from tests.admission.support import mine

SOURCES = Path(__file__).parents[1] / "sandbox" / "sources"
LAYER = "confined" if any(not missing(layer) for layer in CONFINING) else "unsafe"


def run(*arguments: str) -> tuple[int, list[str], str]:
    ran = subprocess.run(
        [sys.executable, "-m", "bilevel", "admit", *arguments, f"sandbox={LAYER}"],
        check=False,
        capture_output=True,
        text=True,
    )
    return ran.returncode, ran.stdout.splitlines(), ran.stderr


def test_a_good_file_is_admitted() -> None:
    code, lines, said = run(str(SOURCES / "tabu.py"), "trace=cpu_gpt")
    assert (code, said) == (0, "")
    assert [line.split(": ")[:2] for line in lines[:-1]] == [[gate, "passed"] for gate in GATES]
    admission = Admission.from_json(json.loads(lines[-1]))
    assert (admission.admitted, admission.name) == (True, "tabu")
    assert admission.hooks == ("review", "observe")


def test_a_bad_one_is_refused_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(mine("import os", "def propose(self, view): return []"))
    code, lines, said = run(str(file))
    assert (code, said) == (1, "")
    assert lines[1].startswith("lint: REFUSED: line 8: import of os is not allowed")
    admission = Admission.from_json(json.loads(lines[-1]))
    assert admission.problem in lines[1].replace(": REFUSED", "")
    assert not admission.admitted


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected one file with a mechanism, got nothing; usage: python -m bilevel admit"),
        (["a.py", "b.py"], "expected one file with a mechanism, got a.py, b.py"),
        (["a.py", "limit=3"], "expected one file with a mechanism, got a.py, limit=3"),
        (["a.py"], "a.py: [Errno 2] No such file"),
        ([str(SOURCES)], "Is a directory"),
        ([str(SOURCES / "tabu.py"), "trace=nope"], "or one of: cpu_gpt, trap"),
        ([str(SOURCES / "tabu.py"), "trace=no.json"], "No such file or directory"),
        ([str(SOURCES / "tabu.py"), "sandbox=paper"], "sandbox.layer='paper'; valid: confined"),
        ([str(SOURCES / "tabu.py"), "sandbox="], "'sandbox=' is not an option"),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert len(said.err.splitlines()) == 1


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "trace=cpu_gpt|trap|PATH.json" in capsys.readouterr().out
