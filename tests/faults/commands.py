"""Real commands without their start: forked from a process that has imported what they need.

As a program it reads one command a line and answers with its exit code. It has no threads, so
that forking is safe; `Commands` is the other end.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel.closable import Closable
from bilevel.journal import Data, projection, read
from bilevel.llm.client import ChatClient
from bilevel.llm.endpoint import Endpoint
from bilevel.space import SearchSpace
from bilevel.tasks.surrogate import PARAMETERS, Surrogate

ROOT = Path(__file__).parents[2]
LIMIT_S = 180  # on a busy machine too
LOCKED = "DEVICE_BATCH_SIZE"


def hurried_client(**config: Any) -> ChatClient:
    """The client of the presets with pauses that are counted and not slept."""
    return ChatClient(Endpoint(**config), sleep=lambda seconds: None)


def locked_task(**config: Any) -> Surrogate:
    """A landscape with a parameter that may not be proposed."""
    task = Surrogate(**config)
    task.space = SearchSpace(PARAMETERS, locked=(LOCKED,))
    return task


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def stop_line(self) -> str:
        """The one line that tells why it stopped."""
        [line] = [part for part in self.err.splitlines() if part.startswith(("stopped:", "bad"))]
        return line


class Commands(Closable):
    """Runs `python -m bilevel ...`, one at a time."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, folder: Path, *overrides: str, **variables: str) -> Ran:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        job = {"folder": str(folder), "overrides": overrides, "variables": variables}
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return Ran(code, (folder / "out").read_text(), (folder / "err").read_text())

    def close(self) -> None:
        self._server.communicate()
        assert self._server.returncode == 0


def journal(folder: Path, study: str = "s", arm: str = "level1") -> list[Data]:
    """What the search in this folder was told, without times."""
    path = folder / "mlruns" / "searches" / study / f"{arm}-seed1" / "journal.jsonl"
    return [projection(entry) for entry in read(path)]


def _child(folder: str, overrides: Sequence[str], variables: dict[str, str]) -> None:
    signal.alarm(LIMIT_S)
    os.chdir(folder)
    os.environ.update(variables)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = ["bilevel", *overrides]
    runpy.run_module("bilevel", run_name="__main__", alter_sys=True)


def _serve() -> None:
    import openai

    import bilevel.commands.run
    import bilevel.search.run  # noqa: F401

    with openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9") as client:
        assert client.chat.completions.with_streaming_response  # imported when it is asked for
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _child(**json.loads(line))  # leaves with the command's own exit
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
