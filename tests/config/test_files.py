"""A user's own configuration files stand beside those of the platform."""

from pathlib import Path

import pytest

from bilevel.config import files
from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.errors import ConfigError


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_text("defaults: [trap]\nbudget: 3\n")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [["--config-dir", "here", "a=1"], ["a=1", "--config-dir=here"], ["-cd", "here", "a=1"]],
)
def test_the_folder_is_taken_out_of_the_arguments(arguments: list[str]) -> None:
    assert files.given(arguments) == ((Path("here").resolve(),), ["a=1"])
    with pytest.raises(ConfigError, match="--config-dir: expected a folder after it"):
        files.given(["a=1", "--config-dir"])


def test_its_files_are_choices_and_those_of_the_platform_come_first(mine: Path) -> None:
    folders = (CONF, mine)
    assert {"mine", "trap"} <= set(files.choices("task", folders))
    assert files.found("task", "mine", folders) == mine / "task" / "mine.yaml"
    (mine / "task" / "trap.yaml").write_text("{}")
    assert files.found("task", "trap", folders) == CONF / "task" / "trap.yaml"
    assert files.found("task", "other", folders) is None


def test_settings_are_composed_from_both(mine: Path) -> None:
    task = composed(CONF, ["--config-dir", str(mine), "task=mine"])["task"]
    assert (task["budget"], task["_target_"]) == (3, "bilevel.tasks.Surrogate")
    with pytest.raises(ConfigError, match=r"task=mien does not exist; did you mean mine\?"):
        composed(CONF, [f"--config-dir={mine}", "task=mien"])
    with pytest.raises(ConfigError, match=r"--config-dir=/nowhere: there is no such folder"):
        composed(CONF, ["--config-dir", "/nowhere", "task=trap"])
