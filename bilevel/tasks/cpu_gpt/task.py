"""The benchmark as a task: a small GPT trained for real within modelled seconds."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from bilevel.settings import Parameters, Seconds, Switch, Words
from bilevel.space import Config
from bilevel.tasks.cpu_gpt.coefficients import SECONDS_PER
from bilevel.tasks.cpu_gpt.corpus import Corpus, DamagedCorpus, open_corpus
from bilevel.tasks.cpu_gpt.prepare import VOCAB_SIZE, prepare
from bilevel.tasks.outcome_cache import OutcomeCache
from bilevel.tasks.script import ScriptTask
from bilevel.trace import Objective
from bilevel.workers.job import WorkerJob
from bilevel.workers.pool import ForkedRunner

SCRIPT = Path(__file__).with_name("train.py")
HARNESS = "bilevel.tasks.cpu_gpt.harness"
_TIME_LEN = 128  # tokens in a sequence, as the harness serves them
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # glibc keeps what is freed: a third of the page faults, the same bits
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}


class CpuGpt(ScriptTask):
    """A task: a small GPT trained on one CPU thread, scored by validation bits per byte.

    `budget_s` are modelled seconds a trial, `limit_s` real ones after which it is stopped.

    `text` is a UTF-8 file to train on instead of the default corpus; the default one is
    downloaded and prepared the first time that the task has to be ready.
    """

    def __init__(
        self,
        *,
        name: str,
        parameters: Parameters,
        locked: Words,
        budget_s: Seconds,
        limit_s: Seconds,
        text: str | None = None,
        cache: Switch = True,
        script_text: str | None = None,
    ) -> None:
        super().__init__(
            name=name,
            script=SCRIPT,
            parameters=parameters,
            locked=locked,
            objective=Objective("val_bpb"),
            runner=ForkedRunner([f"{HARNESS}:preload"], ENVIRONMENT),
            limit_s=limit_s,
            cache=OutcomeCache() if cache else None,
            script_text=script_text,
        )
        self.budget_s = budget_s
        self._text = Path(text) if text else None

    @cached_property
    def corpus(self) -> Corpus:
        return prepare(self._text)

    def ready(self) -> None:
        open_corpus(self.corpus.folder)

    def check_world(self) -> None:
        try:
            open_corpus(self.corpus.folder)
        except DamagedCorpus as error:
            raise DamagedCorpus(
                f"{error}, while a trial was running; the same command makes it again and "
                "continues: what was measured is kept"
            ) from error

    def facts(self) -> str:
        return (
            f"{SCRIPT.name} pretrains a small GPT from nothing on one processor thread. "
            f"{budget(self.budget_s, self._text is None)} Validation is outside the script, after "
            "training, and costs none of it. The seed of training is the same in every run."
        )

    def job(self, folder: Path, config: Config, seed: int) -> WorkerJob:
        argv = [
            str(folder / SCRIPT.name),
            f"--seed={seed}",
            f"--budget-s={self.budget_s}",
            f"--corpus={self.corpus.folder}",
        ]
        return WorkerJob(argv, folder, self.limit_s, f"{HARNESS}:main")

    def world(self) -> Mapping[str, str]:
        from bilevel.tasks.cpu_gpt.identity import evaluator_digest, numerics

        return {"evaluator": evaluator_digest(), "corpus": self.corpus.digest, **numerics()}

    def identity(self) -> Mapping[str, Any]:
        from bilevel.tasks.cpu_gpt.identity import evaluator_digest, numerics

        return {
            "task": "cpu_gpt",
            "evaluator": evaluator_digest(),
            "corpus": self.corpus.digest,
            "budget_s": self.budget_s,
            "numerics": numerics(),
        }

    def effective(self, config: Config) -> Config:
        """Return the configuration that the script uses: a micro-batch larger than the whole
        batch shrinks to it, and the last layer always attends to the whole sequence."""
        values: dict[str, Any] = dict(config)
        rows = min(values["DEVICE_BATCH_SIZE"], values["TOTAL_BATCH_SIZE"] // _TIME_LEN)
        pattern = values["WINDOW_PATTERN"]
        windows = "".join(pattern[i % len(pattern)] for i in range(values["DEPTH"] - 1)) + "L"
        return {**values, "DEVICE_BATCH_SIZE": max(1, rows), "WINDOW_PATTERN": windows}


def budget(seconds: float, default_corpus: bool) -> str:
    """Return the budget and data of a run in words, for proposers; a small corpus of the user's
    may give its tokenizer fewer tokens than asked for."""
    vocabulary = f"{'' if default_corpus else 'at most '}{VOCAB_SIZE}"
    giga = {name: 1e-9 / rate for name, rate in SECONDS_PER.items()}
    return (
        f"A run has {seconds:g} modelled seconds and takes optimiser steps until the next one "
        "would not fit: a cheaper step means more steps. The charge is counted, not timed, and the "
        "same on every machine; each step is charged as the first one was. One modelled second "
        f"pays for {giga['mm_macs']:.0f} billion multiply-adds of matrix products "
        f"({giga['bmm_macs']:.0f} of batched ones), or {giga['bytes']:.0f} GB touched by other "
        f"operations ({giga['softmax_bytes']:.0f} by softmax and exp, "
        f"{giga['slow_bytes']:.0f} by tanh, log and sorting), or "
        f"{1e-3 / SECONDS_PER['calls']:.0f} thousand operations started. Sequences have "
        f"{_TIME_LEN} tokens, the vocabulary {vocabulary} (byte-level BPE). val_bpb is bits "
        "per byte of text kept apart."
    )
