"""What files hold is told apart by all of it, or by samples where that is much."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bilevel.tasks.fingerprint import NAMED_FILES, SAMPLE_BYTES, WHOLE_BYTES, fingerprints


@pytest.fixture
def data(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "small.csv").write_text("1,2\n")
    (made / "large.bin").write_bytes(bytes(WHOLE_BYTES + 1))
    return made


def poke(path: Path, at: int) -> None:
    """Another byte, of the same size and time."""
    state = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"x")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda data: (data / "deep/small.csv").write_text("1,3\n"), ["data/deep/small.csv"]),
        (lambda data: poke(data / "large.bin", 0), ["data/large.bin"]),
        (lambda data: poke(data / "large.bin", WHOLE_BYTES), ["data/large.bin"]),
        (lambda data: os.utime(data / "large.bin", (1, 1)), ["data/large.bin"]),
        (lambda data: (data / "new").touch(), ["data/new"]),
        (lambda data: (data / "large.bin").unlink(), ["data/large.bin"]),
        (lambda data: os.utime(data / "deep/small.csv", (1, 1)), []),
        (lambda data: (data / "__pycache__").mkdir(), []),
        (lambda data: (data / "round").symlink_to(data), []),
        (lambda data: (data / "dangling").symlink_to("nowhere"), []),
        # what samples miss, as README says
        (lambda data: poke(data / "large.bin", 2 * SAMPLE_BYTES), []),
    ],
)
def test_what_changed_is_named(
    data: Path, change: Callable[[Path], object], names: list[str]
) -> None:
    before = fingerprints(data, "data")
    assert before == fingerprints(data, "data")
    change(data)
    now = fingerprints(data, "data")
    assert [n for n in {**before, **now} if before.get(n) != now.get(n)] == names


def test_it_says_how_it_was_looked_at(data: Path) -> None:
    found = fingerprints(data, "data")
    assert found["data/deep/small.csv"].startswith("sha256 ")
    assert found["data/large.bin"].startswith("16,777,217 bytes, by size, time of writing and samp")
    assert [*fingerprints(data / "large.bin", "one")] == ["one"]


def test_many_files_are_told_as_one(tmp_path: Path) -> None:
    for number in range(NAMED_FILES + 1):
        (tmp_path / f"{number}.txt").write_text(str(number))
    [before] = fingerprints(tmp_path, "data").values()
    assert before.startswith(f"{NAMED_FILES + 1} files, sha256 ")
    (tmp_path / "7.txt").write_text("8")
    [now] = fingerprints(tmp_path, "data").values()
    assert now != before
