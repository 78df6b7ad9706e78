"""The evaluator of one trial: serves the training data, asks the model, and gives the verdict.

`main(argv)` runs in a worker process that holds no key. It talks to two confined processes, one
after the other: the first trains and answers for the value, the second, given the first one's
weights, answers again without the future. The validation tokens never leave this process but as
questions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevel.errors import BilevelError
from bilevel.sandbox.failures import SandboxError, SandboxUnavailable, TimeLimit
from bilevel.sandbox.worker_handle import chosen
from bilevel.tasks.cpu_gpt.coefficients import SECONDS_PER
from bilevel.tasks.cpu_gpt.corpus import Corpus, open_corpus
from bilevel.tasks.cpu_gpt.harness import TIME_LEN
from bilevel.tasks.cpu_gpt.job import Job
from bilevel.tasks.cpu_gpt.meter import Meter
from bilevel.tasks.cpu_gpt_code import scoring
from bilevel.tasks.cpu_gpt_code.confinement import Bounds, ConfinedRun, Ended, deadline
from bilevel.tasks.cpu_gpt_code.counting import GRACE
from bilevel.tasks.cpu_gpt_code.identity import evaluator_digest
from bilevel.tasks.cpu_gpt_code.messages import Account, understood
from bilevel.tasks.cpu_gpt_code.model_questions import ModelQuestions
from bilevel.tasks.cpu_gpt_code.pace import Pace, Watch, too_long
from bilevel.tasks.cpu_gpt_code.serving import Served
from bilevel.tasks.cpu_gpt_code.verdict import FILE, RunRefused, Verdict
from bilevel.trace import FailureKind

ANSWERING_CPU_S = 10.0  # beside what training may use
_HARD = 1.5  # times what a run is allowed, the kernel stops it; the evaluator looks before
_SECOND_RUN = (
    "in the second run, which builds the model again (the same script with a job.meter that has no "
    "step, then the trained parameters and buffers)"
)


def main(argv: list[str]) -> int:
    """Writes the verdict beside the script; the exit code tells whether there is one."""
    options = _parser().parse_args(argv)
    try:
        trial = _Judge(options, open_corpus(options.corpus))
        verdict = trial.verdict()
    except BilevelError as error:
        print(f"judge: {error}", file=sys.stderr)
        return error.exit_code
    written = json.dumps(verdict.to_json(), indent=1, allow_nan=False)
    options.script.with_name(FILE).write_text(written + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bilevel.tasks.cpu_gpt_code.judge")
    parser.add_argument("script", type=Path, help="the edited training script")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--budget-s", type=float, required=True, help="modelled seconds")
    parser.add_argument("--corpus", type=Path, required=True, help="a prepared corpus folder")
    parser.add_argument("--layer", default="confined", help="what confines the script")
    parser.add_argument("--limit-s", type=float, default=600, help="real seconds for everything")
    parser.add_argument(
        "--cpu-factor", type=float, default=1.5, help="times the unedited script's processor time"
    )
    parser.add_argument("--memory-mib", type=int, default=4096)
    return parser


class _Judge:
    """One trial. What a confined process says of its own counting is checked where it can be."""

    def __init__(self, options: argparse.Namespace, corpus: Corpus) -> None:
        self._options = options
        self._corpus = corpus
        self._text: str = options.script.read_text()
        layer, until = chosen(options.layer), deadline(options.limit_s)
        self._pace = Pace(corpus.vocab_size, TIME_LEN)
        calls = self._most_s / SECONDS_PER["calls"]
        allowed_s = self._pace.allows_s(self._most_s, calls, options.cpu_factor)
        cpu_s = _HARD * allowed_s + ANSWERING_CPU_S
        self._bounds = Bounds(layer, options.memory_mib, cpu_s, until)
        self._watch: Watch | None = None
        self._served, self._training_cpu_s = Served(), 0.0
        self._answering_s_per_token = 0.0
        self._checks: dict[str, float] = {}
        self._hashes = {
            "script": hashlib.sha256(self._text.encode()).hexdigest(),
            "evaluator": evaluator_digest(),
            "corpus": corpus.digest,
        }

    def verdict(self) -> Verdict:
        """Raises SandboxUnavailable, TaskError."""
        try:
            return self._verdict(self._value())
        except RunRefused as error:
            return self._verdict(None, error.kind, error.reason)
        except TimeLimit:
            limit = f"not done after {self._options.limit_s:g} s and stopped"
            return self._verdict(None, FailureKind.TIMEOUT, limit)
        except SandboxUnavailable:
            raise
        except Ended as error:
            account = self._served.account  # it may be without a word of its steps
            died_at = account.steps or self._served.batches
            self._served.account = replace(account, steps=died_at)
            return self._verdict(None, *self._ended(error))
        except SandboxError as error:
            said = f"the run's process sent what was not asked for ({error})"
            return self._verdict(None, FailureKind.INVALID_PROPOSAL, said)

    def _value(self) -> float:
        chunks = scoring.Chunks.of(self._corpus.validation_tokens(), TIME_LEN)
        with self._run(closed=False) as trained:
            self._watch = Watch(trained, self._pace, self._options.cpu_factor)
            state, weights = self._to_its_end(trained, self._served, self._watch)
            self._training_cpu_s = self._watch.spent_s
            self._hashes["weights"] = hashlib.sha256(weights).hexdigest()
            if not self._served.tokens:
                reason = "the script trained on nothing: it took no batch"
                raise RunRefused(FailureKind.NO_METRIC, reason)
            ask = self._questions(trained, self._watch, self._served.account)
            found = scoring.answers(ask, chunks)
            self._watch.look()
        value = scoring.bits_per_byte(found, chunks, self._corpus.token_bytes())
        if not math.isfinite(value):
            raise RunRefused(FailureKind.DIVERGENCE, f"the validation loss is {value}")
        with self._run(closed=True) as fresh:
            watch = Watch(fresh, self._pace, self._options.cpu_factor)
            ask = self._made_again(fresh, watch, state, weights)
            self._checks = scoring.check_past(ask, chunks, found, self._corpus.vocab_size)
            watch.look()
        return value

    def _made_again(
        self, fresh: ConfinedRun, watch: Watch, state: Any, weights: bytes
    ) -> scoring.Ask:
        """Run 2 as far as its first question. What goes wrong there says that it did."""
        served = Served()
        try:
            self._to_its_end(fresh, served, watch)
            understood(fresh.ask({"load": state}, weights)[0], "loaded")
            return self._questions(fresh, watch, served.account)
        except RunRefused as error:
            raise RunRefused(error.kind, f"{_SECOND_RUN}: {error.reason}") from None

    def _run(self, *, closed: bool) -> ConfinedRun:
        order = {
            "script": self._text,
            "seed": self._options.seed,
            "budget_s": self._options.budget_s,
            "vocab_size": self._corpus.vocab_size,
            "time_len": TIME_LEN,
            "closed": closed,
        }
        return ConfinedRun(self._bounds, order)

    def _to_its_end(self, run: ConfinedRun, served: Served, watch: Watch) -> tuple[Any, bytes]:
        job = Job(
            Meter(self._options.budget_s),
            self._options.seed,
            self._corpus.vocab_size,
            TIME_LEN,
            self._corpus.train_tokens(),
        )
        return served.serve(run, watch, job, self._most_s)

    @property
    def _most_s(self) -> float:
        return float(self._options.budget_s) * (1 + GRACE)

    def _questions(self, run: ConfinedRun, watch: Watch, account: Account) -> scoring.Ask:
        """To a run whose script has ended; what it answers has to fit what it counted."""
        questions = ModelQuestions(run, self._corpus.vocab_size, TIME_LEN)

        def ask(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
            logits = questions.ask(tokens)
            dearest_s = max(self._answering_s_per_token, questions.most_s_per_token)
            self._answering_s_per_token = dearest_s
            self._served.check_training(dearest_s)
            used_s = questions.used_s
            calls = account.counts["calls"] + used_s / SECONDS_PER["calls"]
            watch.glance(account.modelled_s + used_s, calls)
            return logits

        return ask

    def _ended(self, error: Ended) -> tuple[FailureKind, str]:
        if error.code == 128 + signal.SIGXCPU:
            return FailureKind.TIMEOUT, f"stopped: {too_long(self._options.cpu_factor)}"
        if error.code == 128 + signal.SIGKILL:
            return FailureKind.OUT_OF_MEMORY, "killed, probably by the kernel for its memory"
        return FailureKind.CRASH, str(error)

    def _processor_time(self) -> dict[str, float]:
        """Beside modelled time: of the whole run, of its training, and of the unedited script."""
        if self._watch is None:
            return {}
        return {
            "cpu_s": self._watch.spent_s,
            "training_cpu_s": self._training_cpu_s,
            "unedited_cpu_s_per_modelled_s": self._pace.ratio,
            "cpu_s_allowed": self._watch.allowed_s,
        }

    def _verdict(
        self, value: float | None, kind: FailureKind | None = None, reason: str = ""
    ) -> Verdict:
        account, served = self._served.account, float(self._served.tokens)
        return Verdict(
            value,
            kind,
            reason,
            account.output,
            account.modelled_s,
            {"steps": float(account.steps), "training_tokens": served},
            account.counts,
            {**self._checks, "answering_s_per_token": self._answering_s_per_token},
            self._hashes,
            self._bounds.layer,
            self._processor_time(),
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
