"""The measured seed noise of a task: its record, and the file that later searches read."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hydra.core.hydra_config import HydraConfig

from bilevel.config.options import words
from bilevel.errors import ConfigError
from bilevel.search.identity import flat
from bilevel.space import canonical
from bilevel.statistics.power import detectable
from bilevel.tasks.base import Task

_CONFIDENCE = 0.95
NOISE_FILE = "noise.json"
_OF_A_TASK = ("task", "experiment", "arm", "results", "executor", "tracking")  # what may choose one
_TWO_RUNS = 1.96 * math.sqrt(2)  # sds, which two equal normal runs differ by in one case of twenty
UNMEASURED_SD = 0.001  # of val_bpb, for whoever needs one before anything was measured


@dataclass(frozen=True)
class Noise:
    """The values of a task's baseline over several seeds; `failed` seeds gave no value."""

    metric: str
    values: tuple[float, ...]
    failed: int = 0

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def sd(self) -> float:
        return stdev(self.values)

    @property
    def sd_interval(self) -> tuple[float, float]:
        """The chi-square interval of the standard deviation. It holds its level for normal
        noise only: for exponential noise it covers in 73 to 82 % of cases, and more seeds do not
        help."""
        from scipy.stats import chi2

        tail = (1 - _CONFIDENCE) / 2
        scaled = self.sd * math.sqrt(self.n - 1)
        low, high = (math.sqrt(float(chi2.ppf(q, self.n - 1))) for q in (1 - tail, tail))
        return scaled / low, scaled / high

    def detectable(self, seeds: int) -> float | None:
        """Returns the smallest difference of two configurations that is found with power 0.8 with
        so many seeds a side, if the measured deviation is the true one; None where no test of so
        many can find any."""
        return detectable(self.sd, seeds)


def place(settings: Mapping[str, Any]) -> Path:
    """Returns the folder for the noise of the task with exactly these settings."""
    task = settings["task"]
    digest = hashlib.sha256(canonical(dict(flat(task))).encode()).hexdigest()[:12]
    return Path(settings["results"]) / "noise" / f"{task['name']}-{digest}"


def save(noise: Noise, folder: Path) -> Path:
    path = folder / NOISE_FILE
    path.write_text(json.dumps({**asdict(noise), "mean": noise.mean, "sd": noise.sd}, indent=1))
    return path


def with_measured_noise(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings with `acceptance.sd` and `baseline.proposer.noise_sd` filled in from the
    measured noise where they are null; the latter has a default for an unmeasured task.

    They are filled in before a search begins, and so are part of its identity. Raises ConfigError.
    """
    acceptance = settings["acceptance"]
    if acceptance.get("sd", 0) is None:
        sd = _measured(settings)
        if sd is None:
            raise ConfigError(
                f"acceptance.sd is left to what was measured, and {place(settings) / NOISE_FILE} "
                f"is not there or holds no noise: run {_command(settings)} first, or give "
                "acceptance.sd=..."
            )
        filled = {**acceptance, "sd": sd}
        settings = {**settings, "acceptance": filled, **_inner(settings, "acceptance", filled)}
    baseline = settings["baseline"]
    proposer = baseline.get("proposer") or {}
    if proposer.get("noise_sd", 0) is None:
        sd = _measured(settings)
        filled = {**proposer, "noise_sd": UNMEASURED_SD if sd is None else sd}
        inner = _inner(settings, "proposer", filled)
        settings = {**settings, "baseline": {**baseline, "proposer": filled}, **inner}
    return settings


def _command(settings: Mapping[str, Any]) -> str:
    """Returns the command that measures the noise of this task."""
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else ()
    named = [one for one in given if re.split(r"[.@=]", one.lstrip("+~"))[0] in _OF_A_TASK]
    return words(
        "python", "-m", "bilevel", "noise", *(named or [f"task={settings['task']['name']}"])
    )


def noise_text(settings: Mapping[str, Any], task: Task) -> str:
    """Returns the sentence on the task's noise that prompts show: from a measurement of exactly
    this task, else from its acceptance, else from the task."""
    metric, given = task.objective.metric, settings["acceptance"].get("sd")
    noise = _held(settings)
    if noise is not None:
        sd, whence = noise.sd, f"measured on {noise.n} seeds of the baseline"
    elif given is not None:
        sd, whence = float(given), "as this search's acceptance was told"
    elif task.noise_sd is not None:
        sd, whence = task.noise_sd, "as the task itself states"
    else:
        return (
            "Noise: not measured. Runs that differ in nothing but their seed may well differ by "
            "more than a small gain."
        )
    if sd == 0:
        return f"Noise: none, {whence}."
    return (
        f"Noise: runs that differ in nothing but their seed have a standard deviation of {sd:.2g} "
        f"in {metric} ({whence}). One difference in twenty between two such runs is larger than "
        f"{_TWO_RUNS * sd:.2g}, so do not read a smaller one, once seen, as an effect."
    )


def _inner(settings: Mapping[str, Any], part: str, filled: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `inner` with the same part filled in, where its part equals the group's."""
    inner = settings["inner"]
    group = settings["acceptance"] if part == "acceptance" else settings["baseline"][part]
    return {"inner": {**inner, part: filled}} if inner.get(part) == group else {}


def _measured(settings: Mapping[str, Any]) -> float | None:
    """Returns the standard deviation that `python -m bilevel noise` measured for this task, if any.
    Raises ConfigError."""
    noise = _held(settings)
    return None if noise is None else noise.sd


def _held(settings: Mapping[str, Any]) -> Noise | None:
    """Returns the saved noise, if any; one of 0, which earlier versions saved, counts as none, for
    the seeds reached nothing."""
    path = place(settings) / NOISE_FILE
    try:
        held = json.loads(path.read_text())
        noise = Noise(held["metric"], tuple(held["values"]), held["failed"])
        return noise if noise.sd > 0 else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged ({error}); delete it and measure again") from None
