"""Fits the cost model: times the training step in many shapes, and solves for a rate per feature.

`python -m bilevel.tasks.cpu_gpt.fit_cost` reports the fit; `--write` replaces the frozen rates,
which changes every budget in modelled seconds and therefore every result.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bilevel.tasks.cpu_gpt import coefficients
from bilevel.tasks.cpu_gpt.cost import FEATURES
from bilevel.tasks.cpu_gpt.harness import TIME_LEN, preload
from bilevel.tasks.cpu_gpt.job import Job
from bilevel.tasks.cpu_gpt.meter import Meter, OpCounter
from bilevel.tasks.cpu_gpt.prepare import VOCAB_SIZE

_CONFIGURATIONS: tuple[Mapping[str, object], ...] = (
    {},
    *({"TOTAL_BATCH_SIZE": 2**n} for n in (9, 10, 11, 12, 14)),
    *({"TOTAL_BATCH_SIZE": 2**11, "DEVICE_BATCH_SIZE": n} for n in (1, 2, 4, 8)),
    *({"TOTAL_BATCH_SIZE": 2**13, "DEVICE_BATCH_SIZE": n} for n in (4, 8, 32, 64)),
    *({"TOTAL_BATCH_SIZE": 2**11, "HEAD_DIM": n} for n in (16, 32, 128)),
    {"TOTAL_BATCH_SIZE": 2**13, "HEAD_DIM": 16},
    *({"TOTAL_BATCH_SIZE": 2**11, "DEPTH": n} for n in (1, 3, 4, 6)),
    *({"TOTAL_BATCH_SIZE": 2**11, "ASPECT_RATIO": n} for n in (32, 96, 128)),
    {"TOTAL_BATCH_SIZE": 2**9, "ASPECT_RATIO": 128},
    {"TOTAL_BATCH_SIZE": 2**11, "DEPTH": 4, "ASPECT_RATIO": 32},
    {"TOTAL_BATCH_SIZE": 2**12, "DEPTH": 3, "ASPECT_RATIO": 64, "HEAD_DIM": 32},
    {"TOTAL_BATCH_SIZE": 2**11, "DEPTH": 2, "ASPECT_RATIO": 64, "WINDOW_PATTERN": "L"},
)
"""Constants changed from the script's, a configuration each."""


@dataclass(frozen=True)
class Sample:
    """One program's counted operations, and its least CPU seconds over repeats."""

    name: str
    counts: Mapping[str, int]
    cpu_s: float


def load_script(constants: Mapping[str, object]) -> Any:
    """The training script as a module of its own, with some of its constants replaced."""
    path = Path(__file__).with_name("train.py")
    spec = importlib.util.spec_from_file_location("cpu_gpt_train_under_test", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name, value in constants.items():
        setattr(script, name, value)
    return script


def training_step(constants: Mapping[str, object]) -> Callable[[], None]:
    """One whole optimiser step of the script on random tokens, ready to be timed."""
    script = load_script(constants)
    tokens = np.random.default_rng(0).integers(0, VOCAB_SIZE, 2**20).astype(np.uint16)
    job = Job(Meter(1.0), seed=0, vocab_size=VOCAB_SIZE, time_len=TIME_LEN, tokens=tokens)
    torch.manual_seed(0)
    model = script.GPT(VOCAB_SIZE, TIME_LEN)
    muon, adams = script.optimisers(model)
    rows, accumulate = script.micro_batches(TIME_LEN)

    def step() -> None:
        script.train_step(model, job, rows, accumulate)
        with torch.no_grad():
            muon.step(0.1, 0.0)
            for adam in adams:
                adam.step(0.1)

    return step


def measure(name: str, program: Callable[[], object], repeats: int = 4) -> Sample:
    """Least CPU time of `repeats`, after one uncounted and one counted run."""
    program()
    with OpCounter() as counter:
        program()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        program()
        times.append(time.process_time() - started)
    return Sample(name, counter.counts, min(times))


def _measure_configurations(rounds: int) -> list[Sample]:
    """Each configuration's least CPU time; rounds lie minutes apart, so load rarely meets all."""
    least: dict[str, Sample] = {}
    for i in range(rounds):
        for constants in _CONFIGURATIONS:
            name = " ".join(f"{k}={v}" for k, v in constants.items()) or "as it is"
            sample = measure(name, training_step(constants))
            if name not in least or sample.cpu_s < least[name].cpu_s:
                least[name] = sample
        print(f"round {i + 1} of {rounds} done", file=sys.stderr, flush=True)
    return list(least.values())


def _slow_probes() -> list[Sample]:
    """Return measurements of operations that are too rare in the script to fit their rate from
    it."""
    x = torch.rand(2048, 1024) + 0.5
    programs: dict[str, Callable[[], object]] = {
        "tanh": x.tanh, "erf": x.erf, "log": x.log, "sin": x.sin,
        "gelu": lambda: torch.nn.functional.gelu(x), "rand": lambda: torch.rand(2048, 1024),
    }  # fmt: skip
    return [measure(name, program) for name, program in programs.items()]


def fit(samples: list[Sample], probes: list[Sample]) -> dict[str, float]:
    """Return rates in seconds per feature: non-negative least squares of the relative error,
    then the slow rate from `probes`."""
    features = np.array([[s.counts[name] for name in FEATURES] for s in samples], dtype=float)
    features[:, FEATURES.index("slow_bytes")] = 0.0
    relative = features / np.array([[s.cpu_s] for s in samples])
    scale = relative.max(axis=0)
    scale[scale == 0] = 1.0
    rates = non_negative_least_squares(relative / scale, np.ones(len(samples)))
    seconds_per = dict(zip(FEATURES, (float(rate) for rate in rates / scale), strict=True))
    logs = [math.log(p.cpu_s / p.counts["slow_bytes"]) for p in probes]
    seconds_per["slow_bytes"] = math.exp(sum(logs) / len(logs))
    return {name: float(f"{rate:.3e}") for name, rate in seconds_per.items()}


def non_negative_least_squares(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return argmin |a x - b| over x >= 0, exactly: the best over every set of columns in use."""
    best, least = np.zeros(a.shape[1]), float(np.linalg.norm(b))
    for size in range(1, a.shape[1] + 1):
        for columns in combinations(range(a.shape[1]), size):
            x = np.zeros(a.shape[1])
            x[list(columns)] = np.linalg.lstsq(a[:, columns], b, rcond=None)[0]
            error = float(np.linalg.norm(a @ x - b))
            if (x >= 0).all() and error < least:
                best, least = x, error
    return best


def _relative_errors(samples: list[Sample], seconds_per: Mapping[str, float]) -> list[float]:
    return [sum(seconds_per[n] * s.counts[n] for n in FEATURES) / s.cpu_s - 1 for s in samples]


def _rms(errors: list[float]) -> float:
    return math.sqrt(sum(e * e for e in errors) / len(errors))


def write(seconds_per: Mapping[str, float]) -> None:
    lines = "".join(f'    "{name}": {rate!r},\n' for name, rate in seconds_per.items())
    path = Path(coefficients.__file__)
    path.write_text(f'"""{coefficients.__doc__}"""\n\nSECONDS_PER = {{\n{lines}}}\n')


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bilevel.tasks.cpu_gpt.fit_cost")
    parser.add_argument("--write", action="store_true", help="replace the frozen rates")
    parser.add_argument("--rounds", type=int, default=3, help="passes over all configurations")
    options = parser.parse_args(argv)
    preload()
    samples = _measure_configurations(options.rounds)
    seconds_per = fit(samples, _slow_probes())
    for sample, error in zip(samples, _relative_errors(samples, seconds_per), strict=True):
        print(f"{sample.cpu_s:8.4f} s {error:+7.1%}  {sample.name}")
    flops_only = sum(s.cpu_s for s in samples) / sum(_macs(s) for s in samples)
    print(
        f"rms relative error: {_rms(_relative_errors(samples, seconds_per)):.1%}; one rate for all"
    )
    print(f"multiplies: {_rms([flops_only * _macs(s) / s.cpu_s - 1 for s in samples]):.1%}")
    frozen = _rms(_relative_errors(samples, coefficients.SECONDS_PER))
    print(f"the frozen rates, on these timings: {frozen:.1%}\n{seconds_per}")
    if options.write:
        write(seconds_per)
    return 0


def _macs(sample: Sample) -> int:
    return sample.counts["mm_macs"] + sample.counts["bmm_macs"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
