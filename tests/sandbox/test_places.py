"""Libraries are found behind the wall however an environment is linked together."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from bilevel.sandbox.confined_process import around
from bilevel.sandbox.places import inside, links, real

ROOT = Path(__file__).parents[2]
LIBRARY = Path(sysconfig.get_paths()["purelib"])
USE = """
import sys
from bilevel.sandbox.confined_mechanism import confine
from bilevel.sandbox.worker_handle import Limits
from tests.helpers import loop

SOURCE = '''
import numpy
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal

class Mine(Mechanism):
    name = "mine"
    def propose(self, view):
        return [Proposal({"sum": float(numpy.ones(3).sum())})]
'''
with confine(SOURCE, limits=Limits(sys.argv[1])) as mine:
    print(sys.prefix, mine.propose(loop({}).view())[0].changes["sum"])
"""
TRAIN = """
import sys
from bilevel.tasks.cpu_gpt_code.confinement import Bounds, ConfinedRun, deadline

ORDER = {"script": "", "seed": 1, "budget_s": 1.0, "vocab_size": 64, "time_len": 8, "closed": True}
with ConfinedRun(Bounds(sys.argv[1], 8192, 60, deadline(300)), ORDER):
    print(sys.prefix, "torch is there")
"""
in_an_environment = pytest.mark.skipif(
    sys.prefix == sys.base_prefix, reason="this is no virtual environment"
)


def whole(folder: Path) -> None:
    (folder / "there").symlink_to(sys.prefix)
    (folder / ".venv").symlink_to("there")


def built(folder: Path, packages: Callable[[Path], object]) -> None:
    """An environment of this interpreter whose packages somebody else puts there."""
    library = folder / ".venv" / LIBRARY.relative_to(sys.prefix)
    library.parent.mkdir(parents=True)
    (folder / ".venv" / "bin").mkdir()
    python = Path(sys.executable).resolve()
    (folder / ".venv" / "bin" / "python").symlink_to(python)
    (folder / ".venv" / "pyvenv.cfg").write_text(f"home = {python.parent}\n")
    packages(library)


def one_by_one(library: Path) -> None:
    library.mkdir()
    for entry in LIBRARY.iterdir():
        (library / entry.name).symlink_to(entry)


def files_one_by_one(library: Path) -> None:
    one_by_one(library)
    cache = library.parents[3] / "cache"
    for name in ("numpy", "numpy.libs"):
        if (LIBRARY / name).exists():
            (library / name).unlink()
            shutil.copytree(LIBRARY / name, cache / name)
            shutil.copytree(cache / name, library / name, copy_function=os.symlink)


FORMS: dict[str, Callable[[Path], None]] = {
    "whole": whole,
    "its packages' folder": lambda folder: built(folder, lambda at: at.symlink_to(LIBRARY)),
    "one by one": lambda folder: built(folder, one_by_one),
    "files one by one": lambda folder: built(folder, files_one_by_one),
}


def output_of(folder: Path, script: str, layer: str) -> str:
    ran = subprocess.run(
        [folder / ".venv" / "bin" / "python", "-c", script, layer],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout.strip()


@in_an_environment
@pytest.mark.parametrize("form", FORMS)
def test_a_linked_environment_has_its_libraries(layer: str, form: str, tmp_path: Path) -> None:
    FORMS[form](tmp_path)
    assert output_of(tmp_path, USE, layer) == f"{tmp_path}/.venv 3.0"


@in_an_environment
@pytest.mark.parametrize("form", ["whole", "one by one"])
def test_an_edited_script_has_them_too(layer: str, form: str, tmp_path: Path) -> None:
    FORMS[form](tmp_path)
    assert output_of(tmp_path, TRAIN, layer) == f"{tmp_path}/.venv torch is there"


def test_links_are_told_as_far_as_they_lie_in_no_place(tmp_path: Path) -> None:
    home = tmp_path.resolve()
    there = home / "there"
    (there / "deep").mkdir(parents=True)
    (home / "here").symlink_to("there")
    (home / "again").symlink_to(home / "here" / "deep")
    (there / "own").symlink_to("../there/deep")
    again = str(home / "again")
    assert real([again, str(there), str(there / "deep")]) == [str(there)]
    assert links([again, str(there / "own")], [str(there)]) == {
        again: str(home / "here" / "deep"),
        str(home / "here"): "there",
    }
    assert inside(f"{there}/deep", [str(there)])
    assert not inside(f"{there}er", [str(there)])


def test_what_is_hidden_is_hidden_where_it_really_is(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "link").symlink_to("text")
    hidden = around((), (), (str(tmp_path / "link"),))["hidden"]
    assert hidden == [str(tmp_path.resolve() / "text")]


def test_the_project_is_not_among_what_can_be_read() -> None:
    assert not inside(str(ROOT / "bilevel"), around((), (), ())["readable"])
