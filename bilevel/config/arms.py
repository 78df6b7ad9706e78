"""What an arm is in a study, as its file under conf/arm says under `role`: it decides nothing."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any

import yaml

from bilevel.config.checks import ROLE
from bilevel.config.files import CONF
from bilevel.errors import ConfigError
from bilevel.settings import Name, Switch, Whole, one_of, settings_of

CLASSICAL = "classical"
_KINDS = ("mechanism", CLASSICAL)


@dataclass(frozen=True)
class Role:
    """An arm with a `control` is one of those that every other arm is compared with: `mechanism`
    controls leave something out that could explain a gain, `classical` ones are searches without a
    language model, which are not compared with each other. Of two controls, the one in the later
    `place` is compared with the other one.

    An arm that should come out as another one is a check: it is `checked_against` that one alone,
    because each further test would make the others' correction dearer. One that `edits_texts` can
    search a task whose parameter is a text.
    """

    control: Annotated[str, *one_of(_KINDS)] = ""
    place: Whole = 0
    checked_against: Name = ""
    edits_texts: Switch = False

    def to_tag(self) -> str:
        """As a run's tag has it: JSON, and what is usual is left out."""
        usual = Role()
        names = [field.name for field in fields(self)]
        said = {n: getattr(self, n) for n in names if getattr(self, n) != getattr(usual, n)}
        return json.dumps(said, sort_keys=True)


@cache
def roles() -> Mapping[str, Role]:
    """Of every arm that has a file. Raises ConfigError for a role that cannot be used."""
    found = {}
    for file in sorted((CONF / "arm").glob("*.yaml")):
        said = yaml.safe_load(file.read_text()).get(ROLE)
        found[file.stem] = role({} if said is None else said, f"conf/arm/{file.name}: {ROLE}")
    return found


def role_of(arm: str, tag: str = "") -> Role:
    """As a run's tag tells it; without one, as the file of the arm does, if there is one."""
    if not tag:
        return roles().get(arm, Role())
    try:
        said = json.loads(tag)
    except ValueError:
        said = tag
    return role(said, f"{arm}: {ROLE}")


def role_in(settings: Mapping[str, Any]) -> Role:
    """Of the arm that was composed; from a journal, which has no roles, by the file of its arm."""
    said = settings.get(ROLE)
    return role(said, ROLE) if said else role_of(settings["arm"])


def role(said: Any, place: str) -> Role:
    """From plain data; `place` is where it was found, for messages."""
    known = settings_of(Role)
    if not isinstance(said, Mapping) or said.keys() - known.keys():
        raise ConfigError(f"{place}={said!r}: expected some of {', '.join(known)}")
    for name, value in said.items():
        if not known[name].allows(value):
            raise ConfigError(f"{place}.{name}={value!r}: expected {known[name].expected}")
    found = Role(**said)
    if found.control and found.checked_against:
        raise ConfigError(f"{place}={said!r}: expected a control or a check, and not both")
    return found


def controls(found: Mapping[str, Role], kinds: Iterable[str] = _KINDS) -> list[str]:
    """The controls among these arms, by their place."""
    chosen = [arm for arm, one in found.items() if one.control in kinds]
    return sorted(chosen, key=lambda arm: (found[arm].place, arm))


def checks(found: Mapping[str, Role]) -> dict[str, str]:
    """The checks among these arms -> what each is held against."""
    return {arm: one.checked_against for arm, one in found.items() if one.checked_against}
