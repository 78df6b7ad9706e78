"""Measurements of a task, one JSON object a line: what was run, at which seed, what it came to."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from bilevel.errors import BadInput
from bilevel.parameters import Value
from bilevel.space import Config
from bilevel.trace import Outcome


@dataclass(frozen=True)
class Measurement:
    """One evaluation. `why` says how the configuration was chosen; `value` is None where it failed,
    and `failure` then its kind; `wall_s` is how long it took."""

    config: Config
    seed: int
    why: str
    value: float | None
    failure: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    wall_s: float = 0.0

    @classmethod
    def of(cls, config: Config, seed: int, why: str, outcome: Outcome) -> Self:
        return cls(
            config=dict(config),
            seed=seed,
            why=why,
            value=outcome.value,
            failure=str(outcome.failure.kind) if outcome.failure else None,
            metrics=dict(outcome.metrics),
            cost=dict(outcome.cost),
            wall_s=round(outcome.clock.get("wall_s", 0.0), 2),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError or TypeError for what is no measurement."""
        config = {name: _value(value) for name, value in data["config"].items()}
        return cls(**{**data, "config": config})


def _value(given: Any) -> Value:
    value: Value = tuple(given) if isinstance(given, list) else given
    return value


def read(path: Path) -> list[Measurement]:
    """The measurements in a file. Raises BadInput, naming the line that is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Measurement.from_json(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(
                f"{path}, line {number}: expected a measurement, an object with config, seed, why, "
                f"value, failure, metrics, cost and wall_s ({error})"
            ) from None
    return found


def text(measurements: Iterable[Measurement]) -> str:
    return "".join(json.dumps(one.to_json()) + "\n" for one in measurements)


def write(path: Path, measurements: Sequence[Measurement]) -> None:
    """Replaces the file at once, so that a stop leaves the old one or the new one."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text(measurements))
    beside.replace(path)
