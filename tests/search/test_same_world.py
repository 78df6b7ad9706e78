"""A search whose world has changed is not continued, and what changed is named."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bilevel.errors import StudyMismatch
from bilevel.journal import Journal, Recording, projection, read
from bilevel.search.same_world import keep
from tests.helpers import Parabola
from tests.kills import Kill, Run, Searches

SCRIPT = """\
import random
from helper import gain
RATE = 0.5
random.seed(3)
print("val_loss:", gain * (RATE - 0.25) ** 2 + len(open("data/train.bin", "rb").read(9)))
"""
COMMAND = (
    *("study=s", "arm=random", "task=script", "task.file=fit.py", "search.trials=2"),
    *("search.confirm_seeds=0", "tracking=none", "task.files=[helper.py]", "task.links=[data]"),
    "+task.parameters.RATE={type: float, low: 0.0, high: 1.0}",
)
LARGE_BYTES = 17 * 2**20


@pytest.fixture(scope="module")
def warm() -> Iterator[Searches]:
    with Searches() as searches:
        yield searches


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fit.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("gain = 1.0\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.bin").write_bytes(bytes(9))
    (tmp_path / "data" / "large.bin").write_bytes(bytes(LARGE_BYTES))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begun(warm: Searches, here: Path, *more: str) -> list[object]:
    """Killed after its first trial; what its journal holds."""
    assert warm.run(Run(str(here), (*COMMAND, *more), Kill("fork", 1, 0.2))) < 0
    return journal(here)


def journal(here: Path) -> list[object]:
    path = here / "mlruns" / "searches" / "s" / "random-seed1" / "journal.jsonl"
    return [projection(entry) for entry in read(path)]


def logged(here: Path) -> str:
    text = (here / "output.log").read_text()
    (here / "output.log").unlink()
    return "".join(line for line in text.splitlines(keepends=True) if "seed 1  " not in line)


def rewrite(name: str, content: bytes) -> Callable[[Path], None]:
    def change(here: Path) -> None:
        (here / name).write_bytes(content)

    return change


def touched_in_the_middle(here: Path) -> None:
    """Another byte, of the same size and time."""
    place = here / "data" / "large.bin"
    state = place.stat()
    with place.open("r+b") as file:
        file.seek(LARGE_BYTES - 1)
        file.write(b"x")
    os.utime(place, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (rewrite("helper.py", b"gain = 2.0\n"), "helper.py: was sha256 "),
        (touched_in_the_middle, "data/large.bin: was 17,825,792 bytes, by size, time of writing"),
        (
            rewrite("fit.py", SCRIPT.replace("0.25", "0.35").encode()),
            'script: line 5 was \'print("val_loss:", gain * (RATE - 0.25)',
        ),
    ],
)
def test_what_changed_is_named_and_restoring_it_continues(
    warm: Searches, here: Path, change: Callable[[Path], None], told: str
) -> None:
    before = begun(warm, here)
    kept = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in here.rglob("*") if _is_input(p)}
    logged(here)
    change(here)
    assert warm.run(Run(str(here), COMMAND)) == 2
    refused = logged(here)
    assert "what decides the outcomes of study=s arm=random seed=1 has changed" in refused
    assert told in refused
    assert "restore it and repeat the command, or begin another search" in refused
    assert refused.count("\n") == 1
    assert journal(here) == before
    for path, (content, written_ns) in kept.items():
        path.write_bytes(content)
        os.utime(path, ns=(written_ns, written_ns))
    assert warm.run(Run(str(here), COMMAND)) == 0
    assert journal(here)[: len(before)] == before


def _is_input(path: Path) -> bool:
    return path.suffix in (".py", ".bin")


def test_a_small_file_that_is_written_again_is_the_same(warm: Searches, here: Path) -> None:
    begun(warm, here)
    os.utime(here / "data" / "train.bin", (1, 1))
    assert warm.run(Run(str(here), COMMAND)) == 0


def test_a_journal_without_a_note_of_its_world_is_continued(warm: Searches, here: Path) -> None:
    begun(warm, here)
    path = here / "mlruns" / "searches" / "s" / "random-seed1" / "journal.jsonl"
    lines = [json.dumps(e) for e in read(path) if e["key"] != "world"]
    assert len(lines) < len(read(path))
    path.write_text("".join(f"{line}\n" for line in lines))
    (here / "helper.py").write_text("gain = 2.0\n")
    assert warm.run(Run(str(here), COMMAND)) == 0
    assert all(entry["key"] != "world" for entry in read(path))


def test_a_file_that_changes_while_the_search_runs_ends_it(warm: Searches, here: Path) -> None:
    (here / "fit.py").write_text(SCRIPT + f"open({str(here / 'helper.py')!r}, 'a').write('#')\n")
    assert warm.run(Run(str(here), COMMAND)) == 1
    assert "helper.py beside fit.py changed while the search ran: restore" in logged(here)


@pytest.fixture
def environment(here: Path) -> Path:
    """A Python of its own, in which two packages are installed, by a name that is not theirs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", here / "env"], check=True)
    [packages] = (here / "env").glob("lib/python*/site-packages")
    for name, module in (("torch", "torch"), ("some-dist", "helper_lib"), ("other", "other")):
        (packages / module).mkdir()
        (packages / module / "__init__.py").write_text("")
        install(packages, name, module, "1.0")
    return packages


def install(packages: Path, name: str, module: str, version: str) -> None:
    for old in packages.glob(f"{name.replace('-', '_')}-*.dist-info"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    info = packages / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "top_level.txt").write_text(f"{module}\n")
    (info / "RECORD").write_text(f"{module}/__init__.py,,\n")


def test_the_packages_of_the_command_s_own_python_are_part_of_it(
    warm: Searches, here: Path, environment: Path
) -> None:
    """The command is a program of that environment, as torchrun is."""
    (here / "fit.py").write_text(f"import torch, helper_lib\n{SCRIPT}")
    launch = here / "env" / "bin" / "launch"
    launch.write_text(
        f"#!{here}/env/bin/python\nimport runpy, sys\n"
        "sys.path[0] = '.'\nrunpy.run_path(sys.argv[1])\n"
    )
    launch.chmod(0o755)
    more = f"task.command=[{launch},'{{script}}']"
    begun(warm, here, more)
    install(environment, "other", "other", "2.0")  # which nothing imports
    install(environment, "torch", "torch", "1.1")
    install(environment, "some-dist", "helper_lib", "1.2")
    assert warm.run(Run(str(here), (*COMMAND, more))) == 2
    assert "(some-dist: was 1.0, now 1.2; torch: was 1.0, now 1.1)" in logged(here)
    install(environment, "torch", "torch", "1.0")
    install(environment, "some-dist", "helper_lib", "1.0")
    assert warm.run(Run(str(here), (*COMMAND, more))) == 0


class Placed(Parabola):
    """A task in a world that is given."""

    def __init__(self, **held: str) -> None:
        super().__init__()
        self.held = held

    def world(self) -> dict[str, str]:
        return self.held


def test_a_replay_from_the_journal_alone_is_of_no_world(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as live:
        keep(live, Placed(torch="2.7"), {}, "s")
    sealed = Journal.sealed_copy(path)
    keep(sealed, Placed(torch="2.8"), {}, "s")
    assert sealed.in_order
    assert [entry["key"] for entry in read(path)] == ["world", "material"]


def test_answers_of_another_world_are_not_used() -> None:
    recorded = Journal(None)
    keep(recorded, Placed(torch="2.7", data="sha256 1"), {}, "s")
    recording = Recording(recorded.entries)
    keep(Journal(None, recording=recording), Placed(torch="2.7", data="sha256 1"), {}, "s")
    with pytest.raises(
        StudyMismatch, match=r"\(data: is gone, was sha256 1; torch: was 2.7, now 2"
    ):
        keep(Journal(None, recording=recording), Placed(torch="2.8"), {}, "s")


def test_a_task_without_a_world_notes_none() -> None:
    journal = Journal(None)
    keep(journal, Parabola(), {}, "s")
    assert [entry["key"] for entry in journal.entries] == ["material"]
