"""What others wrote is shown on a terminal, and not obeyed."""

import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from bilevel.config.command_line import console
from bilevel.visible import Formatter, line, visible

NASTY = "a\x1b[2J\x1b]0;title\x07b\rc\x9b31m\u202ed\x00"
SHOWN = "a\\x1b[2J\\x1b]0;title\\x07b\\x0dc\\x9b31m\\u202ed\\x00"


def test_controls_are_shown() -> None:
    assert visible(NASTY) == SHOWN
    assert visible("one\n\ttwo é 漢 🙂") == "one\n\ttwo é 漢 🙂"
    assert line("one\ntwo\tthree") == "one\\ntwo three"
    assert visible("half \ud800, tag \U000e0041") == "half \\ud800, tag \\U000e0041"


def test_log_lines_and_tables_show_them(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("x", logging.WARNING, "x", 1, "said %s", (NASTY,), None)
    assert Formatter("%(message)s").format(record) == f"said {SHOWN}"
    table = Table("head")
    table.add_row(NASTY)
    page = console()
    page.print(table)
    page.print(NASTY, markup=False, highlight=False)
    out = capsys.readouterr().out
    assert out.count(SHOWN) == 2
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & set(out)


SCRIPT = f"""
import sys
print({NASTY!r}, file=sys.stderr)
sys.exit(1)
"""


def test_a_script_cannot_write_to_the_terminal_of_its_search(tmp_path: Path) -> None:
    """On a real terminal: what comes out of it holds none of the script's own sequences."""
    script = tmp_path / "train.py"
    script.write_text("LR = 0.1\n" + SCRIPT)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "bilevel", "study=s", "task=script", "tracking=none"]
    command += [f"task.file={script}", "task.metric=val_bpb"]
    command += ["+task.parameters.LR={type: float, low: 0.01, high: 1.0}"]
    command += [f"results={tmp_path}/results", "arm=random", "search.trials=2"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    assert process.wait() != 0
    text = seen.decode()
    assert "c\\x9b31m\\u202ed\\x00" in text, text  # it was told, in the error
    for sequence in ("\x1b]0;", "\x1b[2J", "\x07", "\x9b", "\u202e", "\x00"):
        assert sequence not in text
