"""Checks settings before anything is opened or built."""

import re
from collections.abc import Mapping
from typing import Any

from bilevel.errors import ConfigError

GROUPS = (
    "search",
    "rules",
    "task",
    "llm",
    "inner",
    "outer",
    "outer.levels",
    "executor",
    "tracking",
    "sandbox",
)
ROLE = "role"  # what the file of an arm says of the arm, and no setting of its search
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")


def check(settings: Mapping[str, Any]) -> None:
    """Raises ConfigError that names the first wrong key, its value and what was expected."""
    from bilevel.config.arms import role_in
    from bilevel.config.declared import declared  # --help does without

    for group in GROUPS:
        found: Any = settings
        for name in group.split("."):
            found = found.get(name)
        if not isinstance(found, Mapping):
            raise ConfigError(f"{group}={found!r}: expected a group of settings, not a value")
    left_out = not_given(settings) if settings.get("dry_run") is True else ()
    for key, value, setting in declared(settings):
        if key not in left_out and not setting.allows(value):
            raise ConfigError(f"{key}={setting.shown(value)}: expected {setting.expected}")
    role_in(settings)
    for part in ("proposer", "acceptance"):
        if not isinstance(settings["inner"].get(part), Mapping):
            raise ConfigError(f"inner.{part} is missing; choose one with inner=... or baseline=...")
    levels = [1.0, *(spec["level"] for spec in settings["outer"]["levels"].values())]
    if levels != sorted(set(levels)):
        raise ConfigError(f"outer.levels have levels {levels[1:]}: expected them to rise")


def not_given(settings: Mapping[str, Any]) -> list[str]:
    """Returns the keys without a value that a dry run can do without."""
    from bilevel.config.declared import declared
    from bilevel.settings import NOT_WHERE_DRY

    return [
        key
        for key, value, setting in declared(settings)
        if NOT_WHERE_DRY in setting.metadata and value in (None, "", "???")
    ]


def without_passwords(value: Any) -> Any:
    """Returns the settings with user names and passwords in URLs masked, fit to be written down."""
    if isinstance(value, Mapping):
        return {key: without_passwords(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_passwords(part) for part in value]
    return _PASSWORD.sub("***@", value) if isinstance(value, str) else value
