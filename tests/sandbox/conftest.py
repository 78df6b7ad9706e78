"""Something worth attacking: a secret file, a listening server, a process with a secret."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bilevel.sandbox.worker_handle import CONFINING, missing

ORDINARY_USER = 65534


@dataclass(frozen=True)
class Prey:
    secret: str
    port: int
    host: int


@pytest.fixture(scope="session", params=CONFINING)
def layer(request: pytest.FixtureRequest) -> str:
    reason = missing(request.param)
    if reason:
        pytest.skip(reason)
    name: str = request.param
    return name


@pytest.fixture
def prey(tmp_path: Path) -> Iterator[Prey]:
    """Its files belong to whoever attacks, so that only a wall can be in the way."""
    folder = Path(f"/tmp/bilevel_prey_{os.getpid()}_{tmp_path.name}"[:80])
    folder.mkdir()
    folder.chmod(0o777)
    secret = folder / "secret"
    secret.write_text("the key")
    twin = folder / "secret.twin"
    twin.write_text("")
    victim = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={"SECRET": "the key"}
    )
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        named.bind(f"{secret}.sock")
        named.listen()
        abstract.bind(f"\0{secret}")
        abstract.listen()
        yield Prey(str(secret), server.getsockname()[1], victim.pid)
    victim.kill()
    victim.wait()
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()
    Path("/tmp/bilevel_attack").unlink(missing_ok=True)
