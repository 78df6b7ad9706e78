"""A wheel that is built from the tree works outside of it, in an environment with nothing else."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("bilevel", "conf", "mechanisms", "baselines")
FILES = ("pyproject.toml", "README.md", "LICENSE")
OWN_ARM = """\
# @package _global_
defaults:
  - override /inner: llm
  - override /outer: none
  - override /mechanisms: [tabu, mine]
arm: own
"""
OWN_MECHANISM = """\
from bilevel.mechanism import Mechanism


class Mine(Mechanism):
    name = "mine"

    def review(self, view, candidates):
        return list(candidates)[::-1]
"""

pytestmark = [pytest.mark.slow, pytest.mark.network]


def output_of(*command: str, folder: Path) -> str:
    plain = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, cwd=folder, env=plain, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, for building writes into the tree."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, source / part, symlinks=True, ignore=ignored)
    for file in FILES:
        shutil.copy(ROOT / file, source)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    output_of(*pip, "--wheel-dir", str(built), str(source), folder=built)
    [made] = built.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs of an environment that has the wheel, and what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    output_of(
        str(folder / "bin" / "pip"), "install", "--quiet", "--no-compile", str(wheel), folder=folder
    )
    return folder / "bin"


def test_a_wheel_takes_one_name_and_has_every_configuration(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"bilevel"}
    for part in PARTS[1:]:
        tree = {f"bilevel/{file.relative_to(ROOT)}" for file in (ROOT / part).rglob("*.*")}
        tree = {name for name in tree if name.endswith((".py", ".yaml", ".md"))}
        assert tree - set(names) <= {f"bilevel/{part}/README.md"}


def test_it_searches_and_reports_in_any_folder(programs: Path, tmp_path: Path) -> None:
    program = str(programs / "bilevel")
    search = ("arm=bilevel", "task=trap", "study=w", "search.trials=6", "search.confirm_seeds=2")
    assert "6 trials, best " in output_of(program, *search, folder=tmp_path)
    assert "bilevel" in output_of(program, "report", "study=w", folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"mlruns"}
    replayed = output_of(program, "replay", "study=w", "arm=bilevel", "seed=1", folder=tmp_path)
    assert "reproduced to the last digit" in replayed


def test_a_user_s_own_arm_and_mechanism_are_found(programs: Path, tmp_path: Path) -> None:
    for name, text in (
        ("files/arm/own.yaml", OWN_ARM),
        ("files/mechanisms/mine.yaml", "mine:\n  _target_: my_mechanisms.Mine\n"),
        ("my_mechanisms.py", OWN_MECHANISM),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    settings = ("arm=own", "task=trap", "study=w", "search.trials=3", "tracking=none")
    told = output_of(str(programs / "bilevel"), "--config-dir", "files", *settings, folder=tmp_path)
    assert "arm=own" in told
    assert "mechanism mine is " in told
