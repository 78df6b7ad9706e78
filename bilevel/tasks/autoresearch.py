"""A checkout of karpathy/autoresearch as a task: its train.py is edited, its prepare.py is not."""

import contextlib
import hashlib
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from bilevel.errors import TaskError
from bilevel.settings import (
    FREE,
    NOT_WHERE_DRY,
    SECRET,
    Command,
    Expected,
    File,
    Parameters,
    Seconds,
    Sha256,
    Variable,
    Variables,
    Words,
)
from bilevel.space import Config
from bilevel.tasks import constants
from bilevel.tasks.command import CommandTask

SCRIPT, EVALUATOR = "train.py", "prepare.py"
_FOR_UV = ("pyproject.toml", "uv.lock", ".python-version")  # copied where the checkout has them
_BATCHES = ("TOTAL_BATCH_SIZE", "DEVICE_BATCH_SIZE")
_WINDOWS = "WINDOW_PATTERN"
_TIME_LEN = "MAX_SEQ_LEN"  # tokens in a sequence, a constant of the evaluator
_VARIABLE = "AUTORESEARCH"
_Checkout = Annotated[
    File,
    Expected(f"the folder of a checkout, or its path in the environment variable {_VARIABLE}"),
    FREE,
    NOT_WHERE_DRY,
]
_NOWHERE = "/no-checkout-given"


class Autoresearch(CommandTask):
    """A task: a checkout of karpathy/autoresearch, whose train.py is edited and run on a GPU.

    A trial runs in a working copy of the checkout's files, with its own environment.

    `prepare_sha256` is the sha256 of the evaluator that all values come from; None takes that of
    the one found first. A configuration that cannot run is refused without a launch, with a reason
    for the model. A journal's `script_text` and `time_len` replace the checkout as long as nothing
    is trained.
    """

    def __init__(
        self,
        *,
        name: str,
        command: Command,
        parameters: Parameters,
        locked: Words,
        limit_s: Seconds,
        checkout: _Checkout | None = None,
        seed_calls: Words = ("manual_seed",),
        seed_names: Words = (),
        seed_variable: Variable = None,
        prepare_sha256: Sha256 = None,
        files: Words = (),
        environment: Annotated[Variables, SECRET] = (),
        script_text: str | None = None,
        time_len: int | None = None,
    ) -> None:
        named = checkout or os.environ.get(_VARIABLE) or _NOWHERE
        self.checkout = Path(named).expanduser().absolute()
        self._kept_time_len = time_len
        if script_text is None:
            self._check_checkout()
        self._command_is_uv = Path(str(command[0])).name == "uv"
        self._evaluator_sha256 = prepare_sha256
        super().__init__(
            name=name,
            file=str(self.checkout / SCRIPT),
            command=command,
            metric="val_bpb",
            parameters=parameters,
            locked=locked,
            limit_s=limit_s,
            files=[EVALUATOR, *(f for f in _FOR_UV if (self.checkout / f).exists()), *files],
            environment=environment,
            variables={
                # the checkout's environment as it is: built once, by the user, not once a trial
                "UV_PROJECT_ENVIRONMENT": str(self.checkout / ".venv"),
                "UV_NO_SYNC": "1",
            },
            seed_calls=seed_calls,
            seed_names=seed_names,
            seed_variable=seed_variable,
            script_text=script_text,
        )

    def ready(self) -> None:
        self._check_checkout()
        super().ready()
        if self._command_is_uv and not (self.checkout / ".venv").is_dir():
            raise TaskError(f"{self.checkout} has no .venv; run `uv sync` in it once")
        self._check_evaluator(self.checkout)
        refused = self.refusal(self.space.baseline)
        if refused:
            raise TaskError(f"{SCRIPT} cannot run as it is: {refused}")

    def details(self) -> dict[str, Any]:
        return {"time_len": self._time_len()}

    def material(self) -> dict[str, str]:
        evaluator = self.checkout / EVALUATOR
        if self._evaluator_sha256 is None and evaluator.exists():
            self._evaluator_sha256 = _sha256(evaluator)
        kept = self._evaluator_sha256
        return {**super().material(), **({} if kept is None else {"prepare_sha256": kept})}

    def facts(self) -> str:
        fixed = ", ".join(f"{n} = {v}" for n, v in self._fixed().items())
        told = f" {EVALUATOR} holds fixed: {fixed}." if fixed else ""
        return (
            f"A checkout of karpathy/autoresearch: {SCRIPT} pretrains a GPT on a GPU within the "
            f"time that {EVALUATOR} gives it, and {EVALUATOR}, which is not changed, measures "
            f"val_bpb, bits per byte of text kept apart.{told} A run that takes more than "
            f"{self.limit_s:g} seconds in all is stopped and has failed."
        )

    def refusal(self, config: Config) -> str:
        values: dict[str, Any] = {**self._other_constants(config), **config}
        problems = [_bad_batches(values, self._time_len()), _bad_windows(values)]
        return "; ".join(filter(None, problems))

    def python(self) -> str | None:
        """The checkout's own interpreter, which uv is told to use."""
        return str(self.checkout / ".venv/bin/python") if self._command_is_uv else super().python()

    def check_copies(self, folder: Path) -> None:
        self._check_evaluator(folder)
        super().check_copies(folder)

    def spoiled(self, folder: Path) -> str:
        """Return why a value does not count: the script replaced its evaluator."""
        copy = folder / EVALUATOR
        if copy.exists() and _sha256(copy) == self._evaluator_sha256:
            return ""
        return f"{SCRIPT} changed {EVALUATOR} while it ran, so its number does not count"

    def _check_checkout(self) -> None:
        missing = [f for f in (SCRIPT, EVALUATOR) if not (self.checkout / f).is_file()]
        if missing:
            raise TaskError(
                f"{self.checkout} has no {' and no '.join(missing)}; give a checkout of "
                f"karpathy/autoresearch as task.checkout=FOLDER or in the variable {_VARIABLE}"
            )

    def _check_evaluator(self, folder: Path) -> None:
        """Raises TaskError if a working copy's evaluator is another one: the checkout may change
        under a search."""
        found = _sha256(folder / EVALUATOR)
        expected = self._evaluator_sha256 = self._evaluator_sha256 or found
        if found != expected:
            raise TaskError(
                f"{self.checkout / EVALUATOR} has the sha256 {found}, expected {expected}: numbers "
                f"from two evaluators cannot be compared. Restore it ({self._restoring()}) and "
                "repeat the command, or begin another study with task.prepare_sha256=null"
            )

    def _restoring(self) -> str:
        return shlex.join(["git", "-C", str(self.checkout), "checkout", EVALUATOR])

    def _time_len(self) -> int | None:
        evaluator = self.checkout / EVALUATOR
        if self._kept_time_len is not None or not evaluator.exists():
            return self._kept_time_len
        source = evaluator.read_text()
        if _TIME_LEN not in constants.names(source):
            return None
        value = constants.read(source, [_TIME_LEN], script=EVALUATOR)[_TIME_LEN]
        return value if isinstance(value, int) else None

    def _fixed(self) -> dict[str, Any]:
        """Return the numbers among the evaluator's constants: sequence length, vocabulary, time."""
        source = (self.checkout / EVALUATOR).read_text()
        found: dict[str, Any] = {}
        for name in sorted(n for n in constants.names(source) if n.isupper()):
            with contextlib.suppress(TaskError):
                found |= constants.read(source, [name], script=EVALUATOR)
        return {n: v for n, v in found.items() if isinstance(v, int | float)}

    def _other_constants(self, config: Config) -> dict[str, Any]:
        """Return the script's constants that the checks read and that are no parameters."""
        present = constants.names(self._source)
        wanted = [n for n in (*_BATCHES, _WINDOWS) if n in present and n not in config]
        return constants.read(self._source, wanted, script=SCRIPT)


def _bad_batches(values: Mapping[str, Any], time_len: int | None) -> str:
    if time_len is None or any(name not in values for name in _BATCHES):
        return ""
    total, rows = (values[name] for name in _BATCHES)
    at_once = rows * time_len
    if total % at_once == 0:
        return ""
    return (
        f"TOTAL_BATCH_SIZE={total} is no multiple of DEVICE_BATCH_SIZE={rows} times {time_len} "
        f"tokens, which is {at_once}; choose a larger TOTAL_BATCH_SIZE, or a DEVICE_BATCH_SIZE of "
        f"at most {max(1, total // time_len)} that divides it"
    )


def _bad_windows(values: Mapping[str, Any]) -> str:
    pattern = values.get(_WINDOWS)
    if pattern is None or (pattern and set(str(pattern).upper()) <= {"S", "L"}):
        return ""
    return f"{_WINDOWS}={pattern!r} is not made of S (short) and L (long), as in 'SSSL'"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
