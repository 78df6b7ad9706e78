"""Commands that messages tell a user to run are whole: a shell runs exactly what was printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bilevel.config.files import CONF
from bilevel.config.options import line, quoted, unquoted
from bilevel.tracking.store import Store
from tests.faults.commands import ROOT, Commands

ODD = "we?rd #1 100%41 'ü'"
STUDY = ("study=s", "task=trap", "search.trials=2", "search.confirm_seeds=0")
BROKEN = b"not a database, but long enough to be taken for one" * 40


def shell(printed: str, folder: Path) -> str:
    """What a shell makes of the very text; it has to end well."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        printed, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    ("overrides", "store"),
    [
        (("results=" + quoted(ODD),), f"{ODD}/mlflow.db"),
        pytest.param(
            ("results=elsewhere", "tracking.traces=false"),
            "elsewhere/mlflow.db",
            marks=pytest.mark.nightly,
        ),
        pytest.param(
            ("tracking.uri=" + quoted("sqlite:///my stores/50%.db"),),
            "my stores/50%.db",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_what_is_printed_after_a_lost_store_writes_the_search_into_it(
    overrides: tuple[str, ...], store: str, command: Commands, tmp_path: Path, migrated: Path
) -> None:
    database = tmp_path / store
    database.parent.mkdir()
    database.write_bytes(BROKEN)
    ran = command(tmp_path, *STUDY, *overrides)
    assert ran.code == 0, ran.err
    [printed] = re.findall(r"its journal is whole: (python .*)", ran.err)
    shutil.copy(migrated, database)
    assert "1 searches with 3 trials written" in shell(printed, tmp_path)
    found = Store(f"sqlite:///{database}", write=False)
    assert len(found.runs(found.studies()["s"], "tags.kind = 'trial'")) == 3
    assert (database.parent / "artifacts" / "s").is_dir()
    left = {"err", "out", database.parent.name, "mlruns" if "uri" in overrides[0] else "out"}
    assert {path.name for path in tmp_path.iterdir()} == left
    assert command(tmp_path, *STUDY, *overrides).out.count("is finished already") == 1


def test_what_measures_the_noise_that_a_search_asks_for(command: Commands, tmp_path: Path) -> None:
    odd = ("task=noisy", "task.noise_sd=0.25", f"results={quoted(ODD)}", "tracking=none")
    noisy = ("arm=tabu", *odd, "acceptance=noise_aware", "search.trials=2", "study=s")
    refused = command(tmp_path, *noisy)
    assert refused.code == 2
    [printed] = re.findall(r"holds no noise: run (python .*) first, or give", refused.stop_line)
    assert "sd of one measurement" in shell(printed, tmp_path)
    assert command(tmp_path, *noisy).code == 0


@pytest.mark.parametrize(
    "text",
    [
        "mlruns",
        "a b",
        "a'b",
        'a"b',
        "a\\b",
        "a\\'b",
        "end\\",
        ODD,
        "$x",
        "a=b,c",
        "[x]",
        "12",
        "null",
    ],
)
def test_a_value_is_read_back_as_it_was_written(text: str, tmp_path: Path) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    read = OverridesParser.create().parse_override(f"x={quoted(text)}").value()
    assert read == unquoted(quoted(text)) == text
    echoed = line("sync", {"results": text}).replace("python -m bilevel sync", "printf %s")
    assert shell(echoed, tmp_path) == f"results={quoted(text)}"


def test_no_message_tells_half_a_command() -> None:
    """Whatever names a command in a message is a usage, or comes from where whole ones are made."""
    told = re.compile(r"python -m bilevel(\.\w+)?")
    for file in (CONF.parent / "bilevel").rglob("*.py"):
        text = re.sub(r'"""(?:.|\n)*?"""', "", file.read_text())
        for number, row in enumerate(text.splitlines()):
            if told.search(row) and not row.lstrip().startswith("#"):
                assert re.search(r"USAGE|prog=|\[|SCRIPT|=NAME|\.\.\.", row), (
                    f"{file}:{number} {row}"
                )
