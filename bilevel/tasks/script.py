"""A training script whose top-level constants are the search space."""

import difflib
import hashlib
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bilevel.space import Config, space_from
from bilevel.tasks import constants
from bilevel.tasks.base import Task
from bilevel.tasks.outcome_cache import OutcomeCache
from bilevel.tasks.summary import failure, numbers, single
from bilevel.trace import Objective, Outcome, Proposal, Trial
from bilevel.workers.job import Finished, Job, Runner

FAILED_OUTPUT_CHARS = 4000


class ScriptTask(Task):
    """Edits a copy of the script, runs it, and reads the summary it prints.

    `parameters` are the space as a config file writes it; a baseline that it leaves out is the
    script's own constant. Subclasses say how a job is made and what besides the script decides
    its outcome.
    """

    def __init__(
        self,
        *,
        name: str,
        script: Path,
        parameters: Mapping[str, Mapping[str, Any]],
        locked: Sequence[str],
        objective: Objective,
        runner: Runner,
        limit_s: float,
        cache: OutcomeCache | None = None,
    ) -> None:
        self.name = name
        self.objective = objective
        self.limit_s = limit_s
        self._runner = runner
        self._cache = cache
        self._script = script
        self._source = script.read_text()
        self._own = constants.read(self._source, list(parameters), script=script.name)
        specs = {n: {"baseline": self._own[n], **spec} for n, spec in parameters.items()}
        self.space = space_from(specs, locked)

    @abstractmethod
    def job(self, folder: Path, seed: int) -> Job:
        """How the edited script in this folder is run."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """What decides an outcome besides the script's text, its configuration and the seed."""

    def render(self, config: Config) -> str:
        changed = {n: v for n, v in config.items() if v != self._own[n]}
        return constants.edit(self._source, changed, script=self._script.name)

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        config = self.configured(parent, proposal)
        effective = self.effective(config)
        script = hashlib.sha256(self._source.encode()).hexdigest()
        identity = {**self.identity(), "script": script, "config": effective, "seed": seed}
        known = self._cache.get(identity) if self._cache else None
        if known is not None:
            return known
        text = self.render(config)
        folder = Path(tempfile.mkdtemp(prefix="trial-"))
        try:
            (folder / self._script.name).write_text(text)
            finished = self._runner.run(self.job(folder, seed))
            # the folder's name is drawn anew for every trial: it may not reach what is recorded
            said = finished.output.replace(str(folder), "TRIAL")
            outcome = self._read(replace(finished, output=said), text)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if self._cache:
            self._cache.put(identity, outcome)
        return outcome

    def close(self) -> None:
        self._runner.close()

    def _read(self, finished: Finished, text: str) -> Outcome:
        found = single(numbers(finished.output))
        value = found.pop(self.objective.metric, None)
        problem = failure(finished, self.objective.metric, self.limit_s)
        notes = {f"{self._script.name}.diff": self._diff(text)}
        if problem is not None:
            notes["output.txt"] = finished.output[-FAILED_OUTPUT_CHARS:]
        modelled_s = found.pop("modelled_seconds", None)
        timing = {n: v for n, v in found.items() if n.endswith("_seconds") or n.startswith("peak")}
        same = {n: v for n, v in found.items() if n not in timing}
        return Outcome(
            None if problem else value,
            problem,
            metrics=same,
            cost={} if modelled_s is None else {"modelled_s": modelled_s},
            clock={**timing, "wall_s": finished.wall_s, "peak_mib": finished.peak_mib},
            notes=notes,
        )

    def _diff(self, text: str) -> str:
        lines = difflib.unified_diff(
            self._source.splitlines(keepends=True),
            text.splitlines(keepends=True),
            fromfile=f"baseline/{self._script.name}",
            tofile=self._script.name,
            n=1,
        )
        return "".join(lines)
