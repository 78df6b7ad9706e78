"""Runs one training script: gives it its job, validates what it hands over, prints the summary.

`python -m bilevel.tasks.cpu_gpt.harness SCRIPT --seed S --budget-s B`, or, without paying for
`import torch` again, `main(argv)` in a fork of a process that has called `preload()`. Both give
the same bits. What this does not do: confine the script, which shares the harness's process.
"""

from __future__ import annotations

import argparse
import random
import runpy
import sys
import traceback
from pathlib import Path

import numpy as np
import torch

from bilevel.errors import BilevelError
from bilevel.tasks.cpu_gpt import evaluate, job
from bilevel.tasks.cpu_gpt.corpus import Corpus, DamagedCorpus, open_corpus
from bilevel.tasks.cpu_gpt.meter import BudgetError, Meter
from bilevel.tasks.cpu_gpt.prepare import prepare

TIME_LEN = 128


def preload() -> None:
    """What a process that forks runs calls once: one thread, and the libraries warmed up on it.

    With one thread no pool is started, so forking stays safe; no random number is drawn.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    x = torch.ones(64, 64, requires_grad=True)
    warm = torch.bmm(x[None], x[None]).softmax(-1).tanh().sum()
    (warm + torch.nn.functional.linear(x, x).log_softmax(-1).sum()).backward()  # type: ignore[no-untyped-call]


def main(argv: list[str]) -> int:
    """Run a script once; returns the exit code (0: the summary holds `val_bpb`)."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:  # a fork returns to its worker, whatever it was asked
        return int(stop.code or 0)
    preload()
    try:
        return _run(options)
    finally:
        sys.stdout.flush()


def _run(options: argparse.Namespace) -> int:
    try:
        corpus = open_corpus(options.corpus) if options.corpus else prepare()
        run = job.Job(
            meter=Meter(options.budget_s, count_every_step=options.count_every_step),
            seed=options.seed,
            vocab_size=corpus.vocab_size,
            time_len=TIME_LEN,
            tokens=corpus.train_tokens(),
        )
    except DamagedCorpus as error:
        print(f"harness: {error}; run bilevel.tasks.cpu_gpt.prepare again", file=sys.stderr)
        return error.exit_code
    except BilevelError as error:
        print(f"harness: {error}", file=sys.stderr)
        return error.exit_code
    code = _run_script(options.script, run)
    return code or _summarise(run, corpus)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bilevel.tasks.cpu_gpt.harness")
    parser.add_argument("script", type=Path, help="the training script")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--budget-s", type=float, required=True, help="modelled seconds")
    parser.add_argument("--corpus", type=Path, help="a prepared corpus folder; default: prepare()")
    parser.add_argument("--count-every-step", action="store_true", help="count each step")
    return parser


def _run_script(script: Path, run: job.Job) -> int:
    """Exit code of the script; what it raises is printed, as Python would."""
    random.seed(run.seed)
    np.random.seed(run.seed % 2**32)
    torch.manual_seed(run.seed)
    job.start(run)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return stop.code or 0
    except BudgetError as error:
        return _fail(str(error))
    except Exception:  # the script's own error: shown whole, it is the search's to read
        traceback.print_exc()
        return 1
    finally:
        run.meter.close()
    return 0


def _summarise(run: job.Job, corpus: Corpus) -> int:
    """Validate the model handed over and print the harness's part of the summary."""
    if run.model is None:
        return _fail("the script ended without hand_over(model)")
    if not run.meter.steps:
        return _fail("the script took no step of its meter: `for progress in job.meter`")
    try:
        value = evaluate.bits_per_byte(
            run.model, corpus.validation_tokens(), corpus.token_bytes(), TIME_LEN
        )
    except evaluate.BadModel as error:
        return _fail(str(error))
    except Exception:  # raised by the script's model
        traceback.print_exc()
        return _fail("the model handed over could not be evaluated")
    print(f"val_bpb:          {value:.9f}")
    print(f"modelled_seconds: {run.meter.used_s:.6f}")
    return 0


def _fail(reason: str) -> int:
    print(f"harness: {reason}", file=sys.stderr)
    print("FAIL")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
