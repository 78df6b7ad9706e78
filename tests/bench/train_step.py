"""How much of one thread's matrix-product peak the benchmark's training step reaches."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from bilevel.tasks.cpu_gpt.cost import seconds
from bilevel.tasks.cpu_gpt.fit_cost import training_step
from bilevel.tasks.cpu_gpt.harness import preload
from bilevel.tasks.cpu_gpt.meter import OpCounter

PEAK_SIZE = 1536
REPEATS = 15
TARGET = ">= 35"


def least_cpu_s(program: Callable[[], object]) -> float:
    program()
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        program()
        times.append(time.process_time() - started)
    return min(times)


def measure() -> list[tuple[str, float, str, str | None]]:
    """(name, measured, unit, target); one thread, fp32, CPU time, the least of repeats.

    Counted: every multiply of the step's matrix products (forward, backward, attention, head and
    Muon), two operations each, none of which is a recomputation.
    """
    preload()
    a, b = torch.randn(PEAK_SIZE, PEAK_SIZE), torch.randn(PEAK_SIZE, PEAK_SIZE)
    rows: list[tuple[str, float, str, str | None]] = []
    peak_before = 2 * PEAK_SIZE**3 / least_cpu_s(lambda: a @ b) / 1e9
    for exponent, target in ((11, TARGET), (13, None)):
        step = training_step({"TOTAL_BATCH_SIZE": 2**exponent})
        step()
        with OpCounter() as counter:
            step()
        cpu_s = least_cpu_s(step)
        rate = 2 * (counter.counts["mm_macs"] + counter.counts["bmm_macs"]) / cpu_s / 1e9
        peak = max(peak_before, 2 * PEAK_SIZE**3 / least_cpu_s(lambda: a @ b) / 1e9)
        name = f"training step, 2**{exponent} tokens"
        rows += [
            ("matrix product peak", peak, "GFLOP/s", None),
            (name, cpu_s * 1e3, "ms CPU", None),
            (f"{name}, rate", rate, "GFLOP/s", None),
            (f"{name}, of peak", 100 * rate / peak, "%", target),
            (f"{name}, modelled / CPU seconds", seconds(counter.counts) / cpu_s, "", None),
        ]
    return rows


if __name__ == "__main__":
    for row in measure():
        print(*row)
