"""Which Python runs a script, and what it has, is told without running the script."""

import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pytest

from bilevel.tasks.interpreter import imports, run_by, versions
from bilevel.workers.job import scrubbed_environment

HERE = "SELF"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs: a Python, and two that are run by one."""
    (tmp_path / "python3.11").symlink_to(sys.executable)
    for name, first in (("launch", f"#!{tmp_path}/python3.11 -u"), ("train", "#!/bin/sh")):
        (tmp_path / name).write_text(f"{first}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "first_line", "found"),
    [
        (["python3.11", "fit.py"], "", True),
        ([f"{HERE}/python3.11", "fit.py"], "", True),
        (["nice", "-n", "5", "python3.11", "fit.py"], "", True),
        (["launch", "fit.py"], "", True),
        (["./fit.py"], "#!/usr/bin/env python3.11", True),
        (["./fit.py"], f"#!{HERE}/python3.11", True),
        (["./fit.sh"], "#!/bin/sh", False),
        (["train", "fit.py"], "", False),
        (["no-such-program", "fit.py"], "", False),
        (["sh", "-c", "python3.11 fit.py"], "", False),
    ],
)
def test_the_python_of_a_command(
    programs: Path, argv: Sequence[str], first_line: str, found: bool
) -> None:
    words = [word.replace(HERE, str(programs)) for word in argv]
    script = Path(words[0]).name if first_line else "fit.py"
    source = f"{first_line.replace(HERE, str(programs))}\nimport torch\n"
    python = run_by(words, script, source, f"{programs}:/usr/bin:/bin")
    assert python == (str(programs / "python3.11") if found else None)


def test_what_is_imported_anywhere_in_python_is_named() -> None:
    source = "import os, torch.nn as nn\nfrom sklearn.svm import SVC\nfrom . import here\n"
    assert imports([source, "def f():\n    import helper", "#!/bin/sh\nfi"]) == [
        *("helper", "os", "sklearn", "torch")
    ]


def test_versions_are_those_of_what_is_imported_and_of_what_computes() -> None:
    found = versions(sys.executable, ["os", "sklearn", "hydra", "nowhere"], scrubbed_environment())
    assert found["python"] == platform.python_version()
    for name in ("torch", "numpy", "scikit-learn", "hydra-core"):
        assert found[name] == metadata.version(name)
    assert "mlflow" not in found


def test_a_python_that_cannot_be_asked_is_said(
    programs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert versions(str(programs / "train"), [], {}) == {}
    [told] = caplog.messages
    assert "whether they change under this search will not be noticed" in told
