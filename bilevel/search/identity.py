"""The identity of a search, and the check that its configuration is the one it was begun with."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel.config.declared import is_free, shared
from bilevel.config.former_names import current
from bilevel.errors import StudyMismatch, short
from bilevel.space import canonical

_BEFORE = {
    "search.confirm_seeds": 0,
    "without": [],
    "rules.live": "hook",
    "rules.turn": "proposer",
}
"""What decided a search that was begun before these settings were there."""
_INVENTOR = "outer.levels.inventor.proposer"
_BEFORE_OF_AN_INVENTOR = {
    f"{_INVENTOR}.context": "source",
    f"{_INVENTOR}.session": "diagnose",
    f"{_INVENTOR}.protocol": "",
}
"""The same, where there is a level 2."""


@dataclass(frozen=True)
class Identity:
    """Identifies a search by (study, arm, seed), with the resolved settings that decide what
    happens. `dependent_seeds` is the setting that makes a study's seeds dependent, or empty."""

    study: str
    arm: str
    seed: int
    deciding: Mapping[str, Any]
    dependent_seeds: str = ""

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(canonical(self.deciding).encode()).hexdigest()[:16]

    @property
    def task_settings(self) -> dict[str, Any]:
        """The deciding settings of the task: name -> value."""
        task = "task."
        return {k.removeprefix(task): v for k, v in self.deciding.items() if k.startswith(task)}

    @property
    def search(self) -> str:
        return f"study={self.study} arm={self.arm} seed={self.seed}"

    def folder(self, results: Path) -> Path:
        return results / "searches" / self.study / f"{self.arm}-seed{self.seed}"

    def check(self, recorded: Mapping[str, Any]) -> None:
        """Raises StudyMismatch, naming the keys that differ from a begun search."""
        begun = current(recorded)
        known = completed(begun)
        differing = [
            f"{key}: was {_shown(known, key)}, now {_shown(self.deciding, key)}"
            for key in sorted({*begun, *self.deciding})
            if known.get(key) != self.deciding.get(key)
        ]
        if differing:
            raise StudyMismatch(
                f"{self.search} was begun with another configuration ({'; '.join(differing)}); "
                "give the old values, or another study name, or fresh=true to start over"
            )


def completed(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the recorded settings with values for those that did not exist yet when the search
    was begun. Level 2's follow the others, whose order is that of the levels."""
    inventor = _BEFORE_OF_AN_INVENTOR if f"{_INVENTOR}._target_" in recorded else {}
    later = {key: value for key, value in inventor.items() if key not in recorded}
    return {**_BEFORE, **recorded, **later}


def _shown(deciding: Mapping[str, Any], key: str) -> str:
    """Returns a setting's value, or "no setting" where only another version of the code has it."""
    return short(deciding[key]) if key in deciding else "no setting"


def identify(settings: Mapping[str, Any]) -> Identity:
    """Returns the identity of a search, from checked settings."""
    deciding = {key: value for key, value in flat(settings) if not is_free(settings, key)}
    dependent = ", ".join(shared(settings))
    return Identity(settings["study"], settings["arm"], settings["seed"], deciding, dependent)


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Returns the settings as dotted name -> value; an empty group is a value."""
    for name, value in config.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{key}.")
        else:
            yield key, value
