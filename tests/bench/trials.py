"""Real trials: what a fork adds, and what two searches at a time are worth on two cores."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bilevel.randomness import training_seed
from bilevel.tasks.cpu_gpt.prepare import prepare
from bilevel.tasks.cpu_gpt.task import ENVIRONMENT, HARNESS, SCRIPT
from bilevel.workers.job import WorkerJob
from bilevel.workers.pool import ForkedRunner

BUDGET_S = 5.0
SHORT_S = 0.6  # a trial of one step, for differences that longer ones would drown in noise
REPEATS = 5
TRIALS = 5
ROOT = Path(__file__).parents[2]
Row = tuple[str, float, str, str | None]

IN_PROCESS = f"""
import sys, time
from {HARNESS} import main, preload
preload()
main(sys.argv[1:])
taken = []
for _ in range({REPEATS}):
    started = time.perf_counter()
    main(sys.argv[1:])
    taken.append(time.perf_counter() - started)
print("seconds", min(taken))
"""


def argv() -> list[str]:
    seed = training_seed(1)
    corpus = prepare().folder
    return [str(SCRIPT), f"--seed={seed}", f"--budget-s={SHORT_S}", f"--corpus={corpus}"]


def in_process_s() -> float:
    """A trial in a process that is warm already: the work itself."""
    ran = subprocess.run(
        [sys.executable, "-c", IN_PROCESS, *argv()],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
    )
    return float(ran.stdout.split()[-1])


def forked_s(folder: Path) -> float:
    """The same trial in a worker forked from a warm server, the server's start left out."""
    runner = ForkedRunner([f"{HARNESS}:preload"], ENVIRONMENT)
    job = WorkerJob(argv(), folder, 600.0, f"{HARNESS}:main")
    try:
        return min(runner.run(job).wall_s for _ in range(REPEATS))
    finally:
        runner.close()


def searches_s(folder: Path, seeds: list[int]) -> float:
    """Wall time of this many searches started together, each with its own start-up."""
    folder.mkdir()
    started = time.perf_counter()
    running = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "bilevel", "arm=random", "task=cpu_gpt", "tracking=none"),
                *("task.cache=false", f"task.budget_s={BUDGET_S}", f"seed={seed}"),
                *("baseline.proposer.changes=1", f"search.trials={TRIALS}", f"results={folder}"),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for seed in seeds
    ]
    if any(process.wait() for process in running):
        raise RuntimeError("a search failed; run the same command by hand to see why")
    return time.perf_counter() - started


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rounds = [(in_process_s(), forked_s(folder)) for _ in range(2)]
        plain, forked = (min(taken) for taken in zip(*rounds, strict=True))
        alone, together = 0.0, float("inf")
        for seed in (1, 2):
            runs = [searches_s(folder / f"one{seed}{again}", [seed]) for again in range(2)]
            alone += min(runs)
            together = min(together, searches_s(folder / f"two{seed}", [1, 2]))
    return [
        ("a trial of one step, warm process", plain, "s", None),
        ("what a fork adds to it", forked - plain, "s", "<= 0.3"),
        ("two searches at a time / one after the other", alone / together, "x", ">= 1.8"),
    ]
