"""The benchmark with freely edited code: the script is the one parameter, its text the value."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from bilevel.errors import TaskError
from bilevel.parameters import Text
from bilevel.sandbox.worker_handle import Layer, chosen
from bilevel.settings import FREE, Count, Factor, Seconds, Switch
from bilevel.space import Config, SearchSpace
from bilevel.tasks.base import Task
from bilevel.tasks.cpu_gpt.corpus import Corpus, DamagedCorpus, open_corpus
from bilevel.tasks.cpu_gpt.prepare import prepare
from bilevel.tasks.cpu_gpt.task import ENVIRONMENT, budget
from bilevel.tasks.cpu_gpt.task import SCRIPT as BASELINE
from bilevel.tasks.cpu_gpt_code.verdict import FILE, Verdict
from bilevel.tasks.edits import diff, unparsable
from bilevel.tasks.outcome_cache import OutcomeCache
from bilevel.tasks.script import trial_folder
from bilevel.tasks.summary import last_line
from bilevel.trace import FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import About
from bilevel.workers.job import Finished, WorkerJob
from bilevel.workers.pool import ForkedRunner

SCRIPT = "train.py"  # the parameter, and the file
_JUDGE = "bilevel.tasks.cpu_gpt_code.judge"
MAX_CHARS = 60_000
_STOPPING_S = 60.0  # for the evaluator's own verdict, after the limit of a trial


class CpuGptCode(Task):
    """A task: the GPT benchmark with a freely edited script. `budget_s` are modelled seconds a
    trial, counted over the whole script; `limit_s` real ones, and `cpu_factor` how many times the
    processor time of the unedited script, measured on this machine, one of them may take.

    `layer` is what confines the script; README.md beside this file tells what that covers.
    """

    objective = Objective("val_bpb")

    def __init__(
        self,
        *,
        name: str,
        budget_s: Seconds,
        limit_s: Seconds,
        cpu_factor: Factor = 1.5,
        memory_mib: Count = 4096,
        layer: Annotated[Layer, FREE] = "confined",
        text: str | None = None,
        cache: Switch = True,
        script_text: str | None = None,
    ) -> None:
        self.name = name
        self.limit_s = limit_s
        self._decides = {
            "budget_s": budget_s,
            "cpu_factor": cpu_factor,
            "memory_mib": memory_mib,
        }
        self._layer = layer
        self._text = Path(text) if text else None
        self._cache = OutcomeCache() if cache else None
        self._runner = ForkedRunner(["bilevel.tasks.cpu_gpt.harness:preload"], ENVIRONMENT)
        source = BASELINE.read_text() if script_text is None else script_text
        self.space = SearchSpace((Text(SCRIPT, MAX_CHARS, source),))

    @cached_property
    def corpus(self) -> Corpus:
        return prepare(self._text)

    def ready(self) -> None:
        """Raises SandboxUnavailable, too: before anything is spent."""
        chosen(self._layer)
        open_corpus(self.corpus.folder)

    def describe(self) -> About:
        seconds = self._decides["budget_s"]
        said = f"{SCRIPT} pretrains a small GPT from nothing. {budget(seconds, self._text is None)}"
        return About(f"{said} The seed of training is the same in every run.")

    def material(self) -> dict[str, str]:
        return {"script_text": str(self.space.baseline[SCRIPT])}

    def world(self) -> Mapping[str, str]:
        from bilevel.tasks.cpu_gpt.identity import numerics
        from bilevel.tasks.cpu_gpt_code.identity import evaluator_digest

        return {"evaluator": evaluator_digest(), "corpus": self.corpus.digest, **numerics()}

    def render(self, config: Config) -> str:
        return str(config[SCRIPT])

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        config = self.configured(parent, proposal)
        text = self.render(config)
        problem = unparsable(text, SCRIPT)
        if problem:
            return Outcome.failed(FailureKind.INVALID_PROPOSAL, problem)
        before = self.render(self.space.baseline if parent is None else parent.config)
        outcome = self._cached(text, seed)
        if text != before:
            changed = {f"{SCRIPT}.diff": diff(before, text, SCRIPT)}
            outcome = replace(outcome, notes={**changed, **outcome.notes})
        return outcome

    def close(self) -> None:
        self._runner.close()

    def _cached(self, text: str, seed: int) -> Outcome:
        if self._cache is None:
            return self._run(text, seed)
        identity = {**self._identity(), "seed": seed, "script": _sha256(text)}
        outcome = self._cache.get(identity)
        if outcome is None:
            outcome = self._run(text, seed)
            self._cache.put(identity, outcome)
        return outcome

    def _identity(self) -> Mapping[str, Any]:
        from bilevel.tasks.cpu_gpt.identity import numerics
        from bilevel.tasks.cpu_gpt_code.identity import evaluator_digest

        return {
            "task": "cpu_gpt_code",
            "evaluator": evaluator_digest(),
            "corpus": self.corpus.digest,
            "confined": self._layer != "unsafe",
            **self._decides,
            "numerics": numerics(),
        }

    def _run(self, text: str, seed: int) -> Outcome:
        with trial_folder() as folder:
            try:
                (folder / SCRIPT).write_text(text)
            except OSError as error:
                raise TaskError(f"a trial's folder cannot be filled: {error}") from error
            finished = self._runner.run(self._job(folder, seed))
            return self._outcome(folder / FILE, finished)

    def _job(self, folder: Path, seed: int) -> WorkerJob:
        argv = [
            str(folder / SCRIPT),
            f"--seed={seed}",
            f"--corpus={self.corpus.folder}",
            f"--layer={self._layer}",
            f"--limit-s={self.limit_s}",
            *(f"--{name.replace('_', '-')}={value}" for name, value in self._decides.items()),
        ]
        return WorkerJob(argv, folder, self.limit_s + _STOPPING_S, f"{_JUDGE}:main", temporary=True)

    def _outcome(self, file: Path, finished: Finished) -> Outcome:
        """Without a verdict nothing is known of the script: that is no trial's fault."""
        clock = {"wall_s": finished.wall_s, "peak_mib": finished.peak_mib}
        if not file.exists():
            self._check_corpus()
            raise TaskError(
                f"the evaluator ended without a verdict ({last_line(finished.output)}); repeat the "
                "command: what was measured is kept"
            )
        found = json.loads(file.read_text())
        verdict = Verdict.from_json(found)
        output, times = found.pop("output"), found.pop("clock")
        notes = {FILE: json.dumps(found, indent=1) + "\n"}
        rest: dict[str, Any] = {
            "metrics": verdict.metrics,
            "cost": {"modelled_s": verdict.modelled_s},
            "clock": {**clock, **times},
        }
        if verdict.kind is None:
            return Outcome(verdict.value, notes=notes, **rest)
        notes["output.txt"] = output
        return Outcome.failed(verdict.kind, verdict.reason, notes=notes, **rest)

    def _check_corpus(self) -> None:
        try:
            open_corpus(self.corpus.folder)
        except DamagedCorpus as error:
            raise DamagedCorpus(
                f"{error}, while a trial was running; the same command makes it again and "
                "continues: what was measured is kept"
            ) from error


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
