"""The page of the results: refused in one line where it cannot be, served where it can."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from bilevel.commands.ui import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results(tmp_path: Path, migrated: Path) -> Path:
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return tmp_path


def test_a_taken_port_is_told_with_another_one(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main([f"port={port}", f"results={results}"]) == 2
    err = capsys.readouterr().err
    assert f"port {port} cannot be used (Address already in use)" in err
    assert f"port={port % 65535 + 1}" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["results=nowhere"], "there is no nowhere/mlflow.db yet: run a search first"),
        (["port=x"], "port=x: expected a whole number"),
        (["prt=1"], "'prt=1' is not an option; valid: port, results"),
    ],
)
def test_bad_input_is_told(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlruns", "we?rd #1 100%41"])
def test_the_page_is_served_until_it_is_stopped(tmp_path: Path, migrated: Path, name: str) -> None:
    results = tmp_path / name
    results.mkdir()
    shutil.copy(migrated, results / "mlflow.db")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    page = subprocess.Popen(
        [sys.executable, "-m", "bilevel", "ui", f"port={port}", f"results={results}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
                    assert answer.read() == b"OK"
                break
            except urllib.error.URLError:
                assert page.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
    finally:
        os.killpg(page.pid, signal.SIGTERM)
        page.wait(30)
    assert [path.name for path in tmp_path.iterdir()] == [name]
