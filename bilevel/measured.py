"""What was measured of a task's noise, and where it is kept for searches of the same task."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from bilevel.errors import ConfigError
from bilevel.identity import flat
from bilevel.space import canonical

CONFIDENCE = 0.95
NOISE_FILE = "noise.json"


@dataclass(frozen=True)
class Noise:
    """Values of a task's baseline over seeds; `failed` seeds gave none."""

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
        """The chi-square interval of the standard deviation, for normal noise."""
        from scipy.stats import chi2

        tail = (1 - CONFIDENCE) / 2
        scaled = self.sd * math.sqrt(self.n - 1)
        low, high = (math.sqrt(float(chi2.ppf(q, self.n - 1))) for q in (1 - tail, tail))
        return scaled / low, scaled / high

    def detectable(self, seeds: int) -> float:
        """The smallest difference of two means of so many seeds that a t-test calls real."""
        from scipy.stats import t

        bound = float(t.ppf(1 - (1 - CONFIDENCE) / 2, 2 * seeds - 2))
        return bound * self.sd * math.sqrt(2 / seeds)


def place(settings: Mapping[str, Any]) -> Path:
    """The folder for the noise of this very task, whatever else a search is made of."""
    task = settings["task"]
    digest = hashlib.sha256(canonical(dict(flat(task))).encode()).hexdigest()[:12]
    return Path(settings["results"]) / "noise" / f"{task['name']}-{digest}"


def save(noise: Noise, folder: Path) -> Path:
    path = folder / NOISE_FILE
    path.write_text(json.dumps({**asdict(noise), "mean": noise.mean, "sd": noise.sd}, indent=1))
    return path


def with_measured_noise(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with `acceptance.sd` filled in where it is left to what was measured.

    Filled in before a search begins, it is part of what the search is. Raises ConfigError.
    """
    acceptance = settings["acceptance"]
    if "sd" not in acceptance or acceptance["sd"] is not None:
        return settings
    path = place(settings) / NOISE_FILE
    try:
        sd = float(json.loads(path.read_text())["sd"])
    except FileNotFoundError:
        raise ConfigError(
            f"acceptance.sd is left to what was measured, and {path} is not there: run python -m "
            "bilevel.noise with the same task settings first, or give acceptance.sd=..."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged ({error}); delete it and measure again") from None
    filled = {**acceptance, "sd": sd}
    inner = {**settings["inner"]}
    if inner.get("acceptance") == acceptance:
        inner["acceptance"] = filled
    return {**settings, "acceptance": filled, "inner": inner}
