"""The commit that is tracked is this project's, wherever the command was given."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bilevel.tracking.environment import SOURCE, commit

PRINT = "from bilevel.tracking.environment import environment_json; print(environment_json())"


def git(folder: Path, *arguments: str) -> str:
    named = ["-c", "user.name=n", "-c", "user.email=e@x"]
    asked = ["git", "-C", str(folder), *named, *arguments]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Somebody's own, with one commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "mine.py").write_text("x = 1\n")
    git(tmp_path, "add", "mine.py")
    git(tmp_path, "commit", "-qm", "mine")
    return tmp_path


def test_it_is_not_that_of_the_current_folder(repository: Path) -> None:
    own = commit(SOURCE)["git_commit"]
    ran = subprocess.run(
        [sys.executable, "-c", PRINT],
        cwd=repository,
        env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin:/bin", "GIT_DIR": f"{repository}/.git"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout)["git_commit"] == own != git(repository, "rev-parse", "HEAD")


def test_an_edited_tree_is_said_and_a_package_in_somebody_s_repository_has_none(
    repository: Path,
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert commit(repository) == {"git_commit": head, "git_dirty": False}
    (repository / "mine.py").write_text("x = 2\n")
    assert commit(repository) == {"git_commit": head, "git_dirty": True}
    installed = repository / ".venv" / "lib"
    installed.mkdir(parents=True)
    assert commit(installed) == {"git_commit": "", "git_dirty": False}
