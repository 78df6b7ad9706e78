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
from bilevel.sandbox.failures import BadFrame, SandboxError, SandboxUnavailable, TimeLimit
from bilevel.sandbox.hosted import chosen
from bilevel.tasks.cpu_gpt.corpus import Corpus, open_corpus
from bilevel.tasks.cpu_gpt.harness import TIME_LEN
from bilevel.tasks.cpu_gpt.job import Job
from bilevel.tasks.cpu_gpt.meter import Meter
from bilevel.tasks.cpu_gpt_code import scoring
from bilevel.tasks.cpu_gpt_code.arrays import MAX_ROWS
from bilevel.tasks.cpu_gpt_code.confinement import Bounds, ConfinedRun, Ended, deadline
from bilevel.tasks.cpu_gpt_code.counting import GRACE
from bilevel.tasks.cpu_gpt_code.identity import evaluator_digest
from bilevel.tasks.cpu_gpt_code.messages import Account, number, over, understood
from bilevel.tasks.cpu_gpt_code.questions import Questions
from bilevel.tasks.cpu_gpt_code.verdict import FILE, Refused, Verdict, cheated
from bilevel.trace import FailureKind

MAX_WEIGHT_BYTES = 1 << 28
ANSWERING_CPU_S = 10.0  # beside what training may use
SECOND_RUN = (
    "in the second run, which builds the model again (the same script with a job.meter that has no "
    "step, then the trained parameters and buffers)"
)


def main(argv: list[str]) -> int:
    """Writes the verdict beside the script; the exit code tells whether there is one."""
    options = _parser().parse_args(argv)
    try:
        trial = Judge(options, open_corpus(options.corpus))
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
    parser.add_argument("--cpu-factor", type=float, default=5, help="CPU seconds a modelled one")
    parser.add_argument("--memory-mib", type=int, default=4096)
    return parser


class Judge:
    """One trial. What a confined process says of its own counting is checked where it can be."""

    def __init__(self, options: argparse.Namespace, corpus: Corpus) -> None:
        self._options = options
        self._corpus = corpus
        self._text: str = options.script.read_text()
        self._bounds = Bounds(
            chosen(options.layer),
            options.memory_mib,
            options.cpu_factor * options.budget_s + ANSWERING_CPU_S,
            deadline(options.limit_s),
        )
        self._served = self._batches = 0
        self._account = Account()
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
        except Refused as error:
            return self._verdict(None, error.kind, error.reason)
        except TimeLimit:
            limit = f"not done after {self._options.limit_s:g} s and stopped"
            return self._verdict(None, FailureKind.TIMEOUT, limit)
        except SandboxUnavailable:
            raise
        except Ended as error:
            died_at = self._account.steps or self._batches  # without a word of its steps
            self._account = replace(self._account, steps=died_at)
            return self._verdict(None, *self._ended(error))
        except SandboxError as error:
            said = f"the run's process sent what was not asked for ({error})"
            return self._verdict(None, FailureKind.INVALID_PROPOSAL, said)

    def _value(self) -> float:
        chunks = scoring.Chunks.of(self._corpus.validation_tokens(), TIME_LEN)
        with self._run(closed=False) as trained:
            message, weights, self._served = self._to_its_end(trained)
            self._account = Account.of(message)
            state = understood(message, "state")
            self._hashes["weights"] = hashlib.sha256(weights).hexdigest()
            self._check_budget()
            found = scoring.answers(self._questions(trained), chunks)
        value = scoring.bits_per_byte(found, chunks, self._corpus.token_bytes())
        if not math.isfinite(value):
            raise Refused(FailureKind.DIVERGENCE, f"the validation loss is {value}")
        with self._run(closed=True) as fresh:
            ask = self._made_again(fresh, state, weights)
            self._checks = scoring.check_past(ask, chunks, found, self._corpus.vocab_size)
        return value

    def _made_again(self, fresh: ConfinedRun, state: Any, weights: bytes) -> scoring.Ask:
        """Run 2 as far as its first question. What goes wrong there says that it did."""
        try:
            understood(self._to_its_end(fresh)[0], "state")
            understood(fresh.ask({"load": state}, weights)[0], "loaded")
            return self._questions(fresh)
        except Refused as error:
            raise Refused(error.kind, f"{SECOND_RUN}: {error.reason}") from None

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

    def _to_its_end(self, run: ConfinedRun) -> tuple[dict[str, Any], bytes, int]:
        """Serves batches until the script has ended: its last message, and tokens served."""
        job = Job(
            Meter(self._options.budget_s),
            self._options.seed,
            self._corpus.vocab_size,
            TIME_LEN,
            self._corpus.train_tokens(),
        )
        served, used_s = 0, -1.0
        while True:
            message, raw = run.take(MAX_WEIGHT_BYTES)
            if "batch" not in message:
                return message, raw, served
            now_s, rows = number(message.get("used_s")), number(message["batch"])
            if not now_s > used_s:
                raise cheated("operations are not counted any more: the counter was switched off")
            if now_s > self._most_s:
                raise over(now_s)
            if not 1 <= rows <= MAX_ROWS:
                raise BadFrame(f"a batch of {rows} sequences")
            used_s, self._batches = now_s, self._batches + 1
            inputs, targets = job.batch(int(rows))
            served += inputs.numel()
            tokens = np.concatenate([inputs.numpy(), targets.numpy()[:, -1:]], axis=1)
            run.give({}, tokens.astype("<u2").tobytes())

    @property
    def _most_s(self) -> float:
        return float(self._options.budget_s) * (1 + GRACE)

    def _check_budget(self) -> None:
        if self._account.modelled_s > self._most_s:
            raise over(self._account.modelled_s)
        if not self._served:
            raise Refused(FailureKind.NO_METRIC, "the script trained on nothing: it took no batch")

    def _questions(self, run: ConfinedRun) -> scoring.Ask:
        """To a run whose script has ended; what it answers has to fit what it counted."""
        questions = Questions(run, self._corpus.vocab_size, TIME_LEN)

        def ask(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
            logits = questions.ask(tokens)
            dearest_s = max(self._answering_s_per_token, questions.most_s_per_token)
            self._answering_s_per_token = dearest_s
            self._check_counting()
            return logits

        return ask

    def _check_counting(self) -> None:
        """Training on a token computes at least what predicting from one does."""
        trained_s = self._account.modelled_s / self._served
        if trained_s < self._answering_s_per_token:
            raise cheated(
                f"training counted {trained_s:.2g} modelled seconds a token, predicting from one "
                f"{self._answering_s_per_token:.2g}: the counter was switched off, or tokens were "
                "taken and not used"
            )

    def _ended(self, error: Ended) -> tuple[FailureKind, str]:
        if error.code == 128 + signal.SIGXCPU:
            return FailureKind.TIMEOUT, (
                f"stopped after {self._bounds.cpu_s:g} seconds of processor time for "
                f"{self._options.budget_s:g} modelled ones: work that is not counted as torch "
                "operations (numpy, Python loops, threads) is bounded too; where the unedited "
                "script needs as much, raise task.cpu_factor"
            )
        if error.code == 128 + signal.SIGKILL:
            return FailureKind.OUT_OF_MEMORY, "killed, probably by the kernel for its memory"
        return FailureKind.CRASH, str(error)

    def _verdict(
        self, value: float | None, kind: FailureKind | None = None, reason: str = ""
    ) -> Verdict:
        account, served = self._account, float(self._served)
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
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
