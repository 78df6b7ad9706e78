"""The file that searches share: whole lines, whoever writes at the same time, and whoever dies."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bilevel.baselines.shared_memory import SharedMemory
from bilevel.errors import ConfigError

WRITER = """
import sys
from bilevel.baselines.shared_memory import SharedMemory
for number in range(20):
    SharedMemory(sys.argv[1], sys.argv[2]).append({"number": number, "filler": "x" * 3000})
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "study" / "memory.jsonl"


def memory(file: Path, author: str, **settings: Any) -> SharedMemory:
    return SharedMemory(str(file), author, **settings)


def test_what_one_writes_another_one_reads_in_order(file: Path) -> None:
    for number in range(3):
        memory(file, "a").append({"number": number})
    memory(file, "b").append({"number": 3})
    assert memory(file, "c").read() == [{"number": n} for n in range(4)]
    assert memory(file, "b").read() == [{"number": n} for n in range(3)]
    assert memory(file, "c", most=2).read() == [{"number": 2}, {"number": 3}]


def test_reading_makes_no_file(file: Path) -> None:
    assert memory(file, "a").read() == []
    assert not file.parent.exists()


def test_the_same_entry_of_the_same_search_is_written_once(file: Path) -> None:
    for author in ("a", "a", "b"):
        memory(file, author).append({"number": 1})
    assert file.read_text().count("\n") == 2


def test_a_line_that_a_kill_has_cut_is_taken_off(file: Path) -> None:
    memory(file, "a").append({"number": 1})
    memory(file, "a").append({"number": 2})
    file.write_bytes(file.read_bytes()[:-10])
    assert memory(file, "b").read() == [{"number": 1}]
    memory(file, "a").append({"number": 2})
    assert memory(file, "b").read() == [{"number": 1}, {"number": 2}]


@pytest.mark.parametrize("line", ["{broken}", "[]", '{"author": "a", "id": "x"}'])
def test_a_damaged_line_is_told_with_its_number(file: Path, line: str) -> None:
    memory(file, "a").append({"number": 1})
    with file.open("a") as opened:
        opened.write(line + "\n")
    for refused in (memory(file, "b").read, lambda: memory(file, "b").append({})):
        with pytest.raises(ConfigError, match=r"memory\.jsonl, line 2 is damaged .* take the line"):
            refused()


def test_searches_that_write_at_the_same_time_write_whole_lines(file: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file), author],
            cwd=Path(__file__).parents[2],
        )
        for author in "abc"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    found = [entry["number"] for entry in memory(file, "d").read()]
    assert sorted(found) == sorted([*range(20)] * 3)
    assert [e["number"] for e in memory(file, "a").read() if e["filler"] != "x" * 3000] == []
