"""Anybody's script as a task: a file, the command that runs it, and the metric it prints."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Predicate

from bilevel.errors import ConfigError, TaskError
from bilevel.settings import (
    FREE,
    SECRET,
    Command,
    Expected,
    File,
    Parameters,
    Pattern,
    Seconds,
    Switch,
    Text,
    Variable,
    Variables,
    Words,
)
from bilevel.space import Config
from bilevel.tasks import constants, interpreter
from bilevel.tasks.companion_files import CompanionFiles
from bilevel.tasks.outcome_cache import OutcomeCache
from bilevel.tasks.script import ScriptTask
from bilevel.tasks.seeds import Seeding
from bilevel.trace import Objective, Outcome
from bilevel.workers.job import WorkerJob, scrubbed_environment
from bilevel.workers.pool import ForkedRunner

_OWN = ("script", "seed", "python")  # what a placeholder stands for besides a parameter
_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}  # what a run that is stopped has printed is not lost
_Direction = Annotated[
    str, Predicate(("minimize", "maximize").__contains__), Expected("minimize or maximize")
]
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\w+)\}")


class CommandTask(ScriptTask):
    """A task: a script or command of the user's, run once per trial, with a metric that it prints.

    A parameter is a constant of the file, or else has a baseline and is written `{NAME}` in
    `command`, where `{script}` is the edited copy, `{seed}` the training seed and `{python}` the
    interpreter of this process (`{{` is a brace). Where no parameter is a constant, the file may be
    in any language.

    The training seed is also written where `seed_calls` and `seed_names` say, see `Seeding`, and
    into the environment variable `seed_variable`. `files` and `links` are placed beside the script.
    `environment` names variables that are passed on to the command besides the usual few,
    `variables` sets some by value.

    A journal's `script_text` and `script_name` replace the file.
    """

    def __init__(
        self,
        *,
        name: str,
        command: Command,
        metric: Text,
        parameters: Parameters,
        limit_s: Seconds,
        file: Annotated[File, FREE] | None = None,
        direction: _Direction = "minimize",
        metric_pattern: Pattern = None,
        locked: Words = (),
        files: Words = (),
        links: Words = (),
        environment: Annotated[Variables, SECRET] = (),
        variables: Mapping[str, str] | None = None,
        seed_calls: Words = (),
        seed_names: Words = (),
        seed_variable: Variable = None,
        cache: Switch = False,
        script_text: str | None = None,
        script_name: Annotated[str, FREE] = "script",
    ) -> None:
        if file is None and script_text is None:
            raise ConfigError("task.file is missing: expected the path of the script")
        self._has_file = file is not None
        script = Path(file or script_name).expanduser().absolute()
        self._command = [str(part) for part in command]
        self._beside = CompanionFiles(script.parent, script.name, files, links)
        self._files: Mapping[str, str] = {}  # what they held when the search began
        self._passed = list(environment)
        self._seeding = Seeding(list(seed_calls), list(seed_names))
        self._seed_variable = seed_variable
        self._seeding.check(parameters)
        if cache and links:
            raise ConfigError("task.cache=true cannot know what task.links hold; turn one off")
        passed = {n: os.environ[n] for n in environment if n in os.environ}
        super().__init__(
            name=name,
            script=script,
            parameters=parameters,
            locked=locked,
            objective=Objective(metric, direction),
            runner=ForkedRunner(environment={**_UNBUFFERED, **passed, **(variables or {})}),
            limit_s=limit_s,
            cache=OutcomeCache() if cache else None,
            script_text=script_text,
            metric_pattern=metric_pattern,
        )
        self.argv(self.space.baseline, 0)
        self.edited(self.space.baseline, 0)

    def constants_among(self, parameters: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
        """Return the parameters that are constants of the file. Raises ConfigError for one that
        is neither in the file nor in the command."""
        in_command = {m[1] for part in self._command for m in _PLACEHOLDER.finditer(part)}
        in_file = constants.names(self._source)
        for name in parameters:
            if name in _OWN:
                raise ConfigError(f"task.parameters.{name}: {{{name}}} has a meaning of its own")
            if name in in_file or (name in in_command and "baseline" in parameters[name]):
                continue
            if name in in_command:
                raise ConfigError(
                    f"task.parameters.{name}: {self._script.name} has no constant of this name, so "
                    "it needs a baseline here: the value that the search starts from"
                )
            has = ", ".join(sorted(n for n in in_file if n.isupper())) or "none"
            raise ConfigError(
                f"task.parameters.{name} is neither a top-level constant of {self._script.name} "
                f"(it has: {has}) nor written {{{name}}} in task.command; choose one of the two"
            )
        return [name for name in parameters if name in in_file]

    def details(self) -> dict[str, Any]:
        return {"script_name": self._script.name}

    @property
    def unseeded(self) -> str:
        ways = {
            "{seed} in task.command": any("{seed}" in part for part in self._command),
            "task.seed_calls": bool(self._seeding.calls),
            "task.seed_names": bool(self._seeding.names),
            "task.seed_variable": bool(self._seed_variable),
        }
        used = [way for way, is_used in ways.items() if is_used]
        if used:
            return (
                f"it is handed over by {' and '.join(used)}; see that {self._script.name} uses it"
            )
        return (
            f"hand it over by one of {', '.join(ways)}, or search.confirm_seeds=0 saves these runs"
        )

    def ready(self) -> None:
        if not (self._has_file or self._beside.empty):
            raise TaskError(
                f"a journal does not hold what lies beside {self._script.name} (task.files, "
                "task.links): give task.file=PATH"
            )
        unset = [name for name in self._passed if name not in os.environ]
        if unset:
            raise TaskError(f"task.environment names {', '.join(unset)}, which are not set")
        self._beside.found()
        program = self.argv(self.space.baseline, 0)[0]
        path = scrubbed_environment().get("PATH")
        if (Path(program).is_absolute() or "/" not in program) and not shutil.which(
            program, path=path
        ):
            raise TaskError(f"task.command: there is no program {program!r} on this machine")

    def argv(self, config: Config, seed: int, python: str = sys.executable) -> list[str]:
        """Return the command with its placeholders filled. Raises ConfigError for an unknown
        one."""
        known = {n: _as_argument(value) for n, value in config.items()}
        known |= dict(zip(_OWN, (self._script.name, str(seed), python), strict=True))

        def fill(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            if match[1] not in known:
                raise ConfigError(
                    f"task.command: {match[0]} stands for nothing; valid: "
                    f"{', '.join(f'{{{n}}}' for n in known)}; a brace is written twice"
                )
            return known[match[1]]

        return [_PLACEHOLDER.sub(fill, part) for part in self._command]

    def facts(self) -> str:
        # paths are this machine's
        words = [Path(word).name if word.startswith("/") else word for word in self._command]
        told = (
            f"{self._script.name} is run as `{shlex.join(words)}` in a folder of its own, with the "
            f"changes made. A run that takes more than {self.limit_s:g} seconds is stopped and has "
            f"failed. What counts is the {self.metric.name} that it prints."
        )
        given = ", ".join(p.name for p in self.space.parameters if p.name not in self._own)
        return f"{told} Given in the command: {given}." if given else told

    def job(self, folder: Path, config: Config, seed: int) -> WorkerJob:
        given = {self._seed_variable: str(seed)} if self._seed_variable else {}
        return WorkerJob(self.argv(config, seed), folder, self.limit_s, environment=given)

    def edited(self, config: Config, seed: int) -> str:
        return self._seeding.put(super().render(config), seed, script=self._script.name)

    def world(self) -> Mapping[str, str]:
        """Return fingerprints of the files and linked data, and the versions of the Python that
        runs the script."""
        self._files = self._beside.digests()
        return {**self._files, **self._beside.linked(), **self._versions}

    @cached_property
    def _versions(self) -> Mapping[str, str]:
        python = self.python()
        if python is None:
            return {}
        imported = interpreter.imports([self._source, *self._beside.texts()])
        return interpreter.versions(python, imported, scrubbed_environment())

    def python(self) -> str | None:
        """The interpreter that runs the script; None where it cannot be told from the command."""
        path = scrubbed_environment().get("PATH")
        argv = self.argv(self.space.baseline, 0)
        return interpreter.run_by(argv, self._script.name, self._source, path)

    def furnish(self, folder: Path, text: str) -> None:
        self._beside.furnish(folder)
        self.check_copies(folder)
        super().furnish(folder, text)
        copy = folder / self._script.name
        if self._has_file and self._script.exists():
            shutil.copymode(self._script, copy)
        else:
            copy.chmod(0o755)

    def check_copies(self, folder: Path) -> None:
        """Raises TaskError if the files copied for a trial differ from those at the start of the
        search."""
        copied = self._beside.digests(folder) if self._files else {}
        names = sorted({*copied, *self._files})
        changed = [name for name in names if copied.get(name) != self._files.get(name)]
        if changed:
            raise TaskError(
                f"{', '.join(changed)} beside {self._script.name} changed while the search ran: "
                "restore what was there and repeat the command, what was measured is kept"
            )

    def render(self, config: Config) -> str:
        """Return the file, preceded by the command and its arguments where those are searched
        too."""
        given = {n: value for n, value in config.items() if n not in self._own}
        if not given:
            return super().render(config)
        lines = [f"command: {shlex.join(self._command)}"]
        lines += [f"{name} = {value!r}" for name, value in given.items()]
        return "\n".join([*lines, "", super().render(config)])

    def identity(self) -> Mapping[str, Any]:
        return {
            "task": "command",
            "file": self._script.name,
            "command": self._command,
            "files": self._beside.digests(),
            "metric": [self.metric.name, self.metric.expected],
            "seed_calls": self._seeding.calls,
            "seed_names": self._seeding.names,
            "seed_variable": self._seed_variable,
            "environment": {name: os.environ.get(name) for name in self._passed},
            "limit_s": self.limit_s,
            "versions": dict(self._versions),
        }

    def _run(self, config: Config, seed: int) -> Outcome:
        outcome = super()._run(config, seed)
        variable = f"{self._seed_variable}={seed} " if self._seed_variable else ""
        command = variable + shlex.join(self.argv(config, seed, python="python"))
        return replace(outcome, notes={**outcome.notes, "command.txt": command})


def _as_argument(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
