"""Kills searches at chosen or random points and runs the same command again, until it ends.

As a command it is the experiment: `python -m tests.kills --kills 100`. As `serve` it is a warm
process that forks one search for every line it reads, so that a test can afford many kills.
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from bilevel.journal import Data, projection, read

ROOT = Path(__file__).parents[1]
LAST = {
    **{"journal": 70, "trial": 20, "call": 20, "fork": 20, "logging": 100, "time": 40},
    **{"gate": 40, "hook": 20},
}
"""The points at which a search of 20 trials is killed, and how often it reaches each at most."""


_IMPORTED = (
    "openai.resources.chat.completions",
    "bilevel.search.run",
    "bilevel.tracking.store",
    "bilevel.mechanisms.tabu",
    "bilevel.levels.inventor",
)


@dataclass(frozen=True)
class Kill:
    """SIGKILL at the `nth` time that `point` is reached: before it, or after it (`share` above
    one half). A journal write gets that share of its bytes out; `time` is nth + share in 20 ms."""

    point: str
    nth: int
    share: float


@dataclass(frozen=True)
class Run:
    """One process of a search, and where it is to die, if anywhere."""

    folder: str
    arguments: tuple[str, ...]
    kill: Kill | None = None


@dataclass(frozen=True)
class Case:
    """A search of 20 trials, the points it passes, and what has to be run before it."""

    arguments: tuple[str, ...]
    points: tuple[str, ...]
    before: tuple[str, ...] = ()

    def random_kill(self, rng: Random) -> Kill:
        point = rng.choice(self.points)
        return Kill(point, rng.randrange(LAST[point]), rng.random())


class Searches:
    """The warm process that forks searches; used by `with`."""

    def __enter__(self) -> "Searches":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kills", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, run: Run) -> int:
        """Its exit code, or minus the signal that ended it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(run)) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def killed(self, folder: Path, arguments: Sequence[str], kills: Sequence[Kill]) -> list[Kill]:
        """Runs the command once for each kill and then to its end; returns those that struck."""
        struck: list[Kill] = []
        for kill in kills:
            code = self.run(Run(str(folder), tuple(arguments), kill))
            if code < 0:
                struck.append(kill)
            elif code:
                raise AssertionError(f"exit code {code} with {kill}")
        code = self.run(Run(str(folder), tuple(arguments)))
        if code:
            raise AssertionError(f"exit code {code} after {kills}")
        return struck


def journal(folder: Path) -> list[Data]:
    """The journal of study `s` in this folder, without times and process ids."""
    [path] = (folder / "mlruns" / "searches" / "s").glob("*/journal.jsonl")
    return [projection(entry) for entry in read(path)]


def serve() -> None:
    """Forks a search for every line, from a process that has imported everything."""
    for module in _IMPORTED:
        importlib.import_module(module)

    for line in sys.stdin:
        data = json.loads(line)
        kill = data["kill"] and Kill(**data["kill"])
        child = os.fork()
        if child == 0:
            _search(Path(data["folder"]), data["arguments"], kill)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _search(folder: Path, arguments: list[str], kill: Kill | None) -> None:
    """The life of a forked search: never returns."""
    code = 99
    try:
        from bilevel.commands.run import main

        os.chdir(folder)
        log = os.open("output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, place in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, place)
        if kill is not None:
            _arm(kill)
        code = main(arguments)
    finally:
        os._exit(code)


def _arm(kill: Kill) -> None:
    from bilevel import journal as journals
    from bilevel.levels import attaching
    from bilevel.llm.client import ChatClient
    from bilevel.sandbox.worker_handle import WorkerHandle
    from bilevel.tasks.surrogate import Surrogate
    from bilevel.tracking.store import Store
    from bilevel.workers.pool import _ServerProcess

    reached = iter(range(kill.nth))

    def due() -> bool:
        return next(reached, None) is None

    if kill.point == "time":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, (kill.nth + kill.share) * 0.02 + 0.001)
    elif kill.point == "journal":
        _tear(journals, kill.share, due)
    elif kill.point == "trial":
        _strike(Surrogate, "evaluate", kill.share, due)
    elif kill.point == "call":
        _strike(ChatClient, "complete", kill.share, due)
    elif kill.point == "gate":
        _strike(WorkerHandle, "call", kill.share, due)  # the first ones are of a session's gates
    elif kill.point == "hook":
        _strike_attached(attaching, kill.share, due)
    elif kill.point == "fork":
        _strike(_ServerProcess, "_send", kill.share, due)
    else:
        for name in ("create", "log", "log_curves", "files", "traces", "link", "status"):
            _strike(Store, name, kill.share, due)


def _strike(owner: Any, name: str, share: float, due: Callable[[], bool]) -> None:
    real = getattr(owner, name)

    def struck(*args: Any, **kwargs: Any) -> Any:
        now = due()
        if now and share < 0.5:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(*args, **kwargs)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, struck)


def _strike_attached(module: Any, share: float, due: Callable[[], bool]) -> None:
    """At an answer of a mechanism that was attached, and at none that the gates hear."""
    real = module.proxy

    def proxy(*args: Any, **kwargs: Any) -> Any:
        made = real(*args, **kwargs)
        _strike(made, "_remember", share, due)
        return made

    module.proxy = proxy


class _TornWrites:
    """The module `os` as a journal sees it, whose nth write is cut by a kill."""

    def __init__(self, share: float, due: Callable[[], bool]) -> None:
        self._share = share
        self._due = due

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, descriptor: int, payload: bytes) -> int:
        if self._due():
            os.write(descriptor, payload[: int(len(payload) * self._share)])
            os.kill(os.getpid(), signal.SIGKILL)
        return os.write(descriptor, payload)


def _tear(module: Any, share: float, due: Callable[[], bool]) -> None:
    module.os = _TornWrites(share, due)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        yield Path(folder)


MODEL = ("journal", "trial", "call", "time")
CASES: Mapping[str, Case] = {
    "level 1": Case(("arm=level1", "task=trap", "tracking=none"), MODEL),
    "level 1.5": Case(("arm=level1_5", "task=trap", "tracking=none"), MODEL),
    "a batch and a mechanism": Case(
        ("arm=tabu", "task=interaction", "tracking=none", "inner.batch=2"), MODEL
    ),
    "level 2": Case(("arm=bilevel", "task=trap", "tracking=none"), (*MODEL, "gate", "hook")),
    "level 2, judged": Case(
        ("arm=bilevel_judged", "task=trap", "tracking=none"), (*MODEL, "gate", "hook")
    ),
    "no model": Case(("arm=random", "task=noisy", "tracking=none"), ("journal", "trial", "time")),
    "recorded replies": Case(
        ("arm=restart", "task=trap", "tracking=none", "llm=replay", "llm.study=recorded"),
        ("journal", "trial", "time"),
        before=("study=recorded", "arm=restart", "task=trap", "tracking=none"),
    ),
    "a process a trial": Case(
        (
            "arm=level1",
            "tracking=none",
            "task=script",
            f"task.file={ROOT}/tests/scripts/bowl.py",
            "task.metric=val_bpb",
            "+task.parameters.RATE={type: float, low: 0.0, high: 1.0}",
            "+task.parameters.WIDTH={type: power_of_two, low: 1, high: 256}",
            "+task.parameters.DECAY={type: float, low: 0.0, high: 1.0}",
        ),
        ("fork", "fork", "journal", "time"),
    ),
    "tracked": Case(("arm=level1", "task=trap", "tracking=mlflow"), (*MODEL, "logging", "logging")),
}


def compare(
    warm: Searches, case: Case, seed: int, kills: Sequence[Kill], whole: Path, broken: Path
) -> tuple[bool, list[Kill]]:
    """Whether the killed search has the journal of the unbroken one, and the kills that struck."""
    common = (f"seed={seed}", "search.trials=20")
    for folder in (whole, broken):
        if case.before:
            warm.killed(folder, (*case.before, *common), [])
    command = ("study=s", *case.arguments, *common)
    warm.killed(whole, command, [])
    struck = warm.killed(broken, command, kills)
    return journal(whole) == journal(broken), struck


def experiment(kills: int, seed: int) -> int:
    """Kills searches until so many kills have struck; returns how many journals differ."""
    rng, struck, differing, searches = Random(seed), Counter[str](), 0, 0
    started = time.monotonic()
    with Searches() as warm:
        while struck.total() < kills:
            name = rng.choice([*CASES])
            planned = [CASES[name].random_kill(rng) for _ in range(rng.randint(1, 8))]
            with _folder() as whole, _folder() as broken:
                same, hits = compare(warm, CASES[name], searches, planned, whole, broken)
            struck.update(kill.point for kill in hits)
            searches += 1
            differing += not same
            verdict = "the same journal" if same else "ANOTHER JOURNAL"
            print(f"{name}: {verdict} after {len(hits)} kills", flush=True)
            if not same:
                print(f"  {hits}")
    print(f"{searches} searches, {struck.total()} kills: {dict(sorted(struck.items()))}")
    print(f"{differing} journals differ; {time.monotonic() - started:.0f} s")
    return differing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("serve", "experiment"), default="experiment")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.what == "serve":
        serve()
        return 0
    return min(1, experiment(options.kills, options.seed))


if __name__ == "__main__":
    sys.exit(main())
