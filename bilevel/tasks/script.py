"""A training script whose constants are the search space."""

import contextlib
import difflib
import hashlib
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bilevel.errors import ConfigError, TaskError
from bilevel.space import Config, space_from
from bilevel.tasks import constants
from bilevel.tasks.base import Task
from bilevel.tasks.outcome_cache import OutcomeCache
from bilevel.tasks.outline import outline
from bilevel.tasks.summary import Metric, failure, last_line, no_disk, numbers, single
from bilevel.trace import Failure, FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import About
from bilevel.workers.job import Finished, Runner, WorkerJob

_FAILED_OUTPUT_CHARS = 4000


class ScriptTask(Task):
    """A task whose parameters are top-level constants of a script: edits a copy of the script, runs
    it in a folder of its own, and reads what it prints.

    `parameters` are the space as a config file writes it; a baseline that it leaves out is the
    script's own constant. `script_text` is the script as a journal kept it: the file is then not
    read. Subclasses say how a job is made and what besides the script decides its outcome.
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
        script_text: str | None = None,
        metric_pattern: str | None = None,
    ) -> None:
        self.name = name
        self.objective = objective
        self.limit_s = limit_s
        self.metric = Metric(objective.metric, metric_pattern)
        self._runner = runner
        self._cache = cache
        self._script = script
        self._source = _text_of(script) if script_text is None else script_text
        names = list(self.constants_among(parameters))
        self._own = constants.read(self._source, names, script=script.name) if names else {}
        baselines = {n: {"baseline": self._own[n]} if n in self._own else {} for n in parameters}
        self.space = space_from({n: {**baselines[n], **parameters[n]} for n in parameters}, locked)

    def constants_among(self, parameters: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
        """Return the parameters that are constants of the script."""
        return parameters

    @abstractmethod
    def job(self, folder: Path, config: Config, seed: int) -> WorkerJob:
        """Return the job that runs the edited script in this folder."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Return what decides an outcome besides the script's text, its configuration and the
        seed."""

    @abstractmethod
    def facts(self) -> str:
        """Return the experiment in sentences: the budget of a run, what is measured, and how."""

    def describe(self) -> About:
        return About(
            self.facts(),
            constants.comments(self._source, self._own),
            outline(self._source, self._own),
        )

    def refusal(self, config: Config) -> str:
        """Return why this configuration cannot run, checked without running it; empty where it
        can."""
        return ""

    def furnish(self, folder: Path, text: str) -> None:
        """Writes the files of a trial into its folder."""
        (folder / self._script.name).write_text(text)

    def spoiled(self, folder: Path) -> str:
        """Return why the value that a run printed does not count; empty where it does."""
        return ""

    def check_world(self) -> None:
        """Raises TaskError if a failed run could not have worked with any configuration."""
        return

    def edited(self, config: Config, seed: int) -> str:
        """Return the script with its constants and seed set."""
        return self.render(config)

    def render(self, config: Config) -> str:
        changed = {n: config[n] for n, own in self._own.items() if config[n] != own}
        return constants.edit(self._source, changed, script=self._script.name)

    def material(self) -> dict[str, str]:
        return {"script_text": self._source}

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        config = self.configured(parent, proposal)
        refused = self.refusal(config)
        if refused:
            return Outcome.failed(FailureKind.INVALID_PROPOSAL, refused)
        if self._cache is None:
            return self._run(config, seed)
        script = hashlib.sha256(self._source.encode()).hexdigest()
        identity = {
            **self.identity(),
            "script": script,
            "config": self.effective(config),
            "seed": seed,
        }
        outcome = self._cache.get(identity)
        if outcome is None:
            outcome = self._run(config, seed)
            self._cache.put(identity, outcome)
        return outcome

    def close(self) -> None:
        self._runner.close()

    def _run(self, config: Config, seed: int) -> Outcome:
        text = self.edited(config, seed)
        with trial_folder() as folder:
            try:
                self.furnish(folder, text)
            except OSError as error:
                raise TaskError(f"a trial's folder cannot be filled: {error}") from error
            finished = self._runner.run(replace(self.job(folder, config, seed), temporary=True))
            # the folder's name is drawn anew for every trial: it may not reach what is recorded
            finished = replace(finished, output=finished.output.replace(str(folder), "TRIAL"))
            problem = failure(finished, self.metric, self.limit_s)
            if problem is not None:
                self._blame_the_world(finished)
            elif spoiled := self.spoiled(folder):
                problem = Failure(FailureKind.INVALID_PROPOSAL, spoiled)
        return self._outcome(finished, problem, text)

    def _blame_the_world(self, finished: Finished) -> None:
        if no_disk(finished):
            raise TaskError(
                f"a trial could not write: {last_line(finished.output)}; free space, or point "
                "TMPDIR to another disk, and repeat the command: what was measured is kept"
            )
        self.check_world()

    def _outcome(self, finished: Finished, problem: Failure | None, text: str) -> Outcome:
        """Return the outcome of a run; a value that a failed run printed is kept among the
        metrics."""
        name = self.metric.name
        value = single({name: self.metric.values(finished.output)}).get(name)
        found = {n: v for n, v in single(numbers(finished.output)).items() if n != name}
        notes = {f"{self._script.name}.diff": self._diff(text)}
        if problem is not None:
            notes["output.txt"] = finished.output[-_FAILED_OUTPUT_CHARS:]
        modelled_s = found.pop("modelled_seconds", None)
        timing = {n: v for n, v in found.items() if n.endswith("_seconds") or n.startswith("peak")}
        same = {n: v for n, v in found.items() if n not in timing}
        return Outcome(
            None if problem else value,
            problem,
            metrics=same if problem is None or value is None else {name: value, **same},
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


def _text_of(script: Path) -> str:
    try:
        return script.read_text()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{script} cannot be read as a script: {error}") from None


@contextlib.contextmanager
def trial_folder() -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix="trial-"))
    except OSError as error:
        raise TaskError(
            f"no folder for a trial can be made: {error}; free space, or point TMPDIR to another "
            "disk, and repeat the command: what was measured is kept"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
