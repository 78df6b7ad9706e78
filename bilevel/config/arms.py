"""The roles of arms in a study, from `role` in the files of conf/arm; they decide nothing in a
search."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any

import yaml

from bilevel.config.checks import ROLE
from bilevel.config.files import CONF
from bilevel.errors import ConfigError
from bilevel.settings import Expected, Name, Whole, one_of, settings_of

CLASSICAL = "classical"
_KINDS = ("mechanism", CLASSICAL)


_Edits = Annotated[bool | str, Expected("true, false, or the name of a text that is searched")]


@dataclass(frozen=True)
class Role:
    """The role of an arm. An arm with a `control` is one that every other arm is compared with:
    `mechanism` controls leave out something that could explain a gain, `classical` ones are
    searches without a language model, which are not compared with each other. Of two controls, the
    one in the later `place` is compared with the other one.

    An arm that should come out the same as another one is a check: it is `checked_against` that one
    alone, because each further test would make the others' correction stricter. One that
    `edits_texts` can search a task whose parameter is a text: any one, or the one of that name.
    """

    control: Annotated[str, *one_of(_KINDS)] = ""
    place: Whole = 0
    checked_against: Name = ""
    edits_texts: _Edits = False

    def to_tag(self) -> str:
        """Returns the role as the tag of a run: JSON of the fields that differ from the
        defaults."""
        usual = Role()
        names = [field.name for field in fields(self)]
        said = {n: getattr(self, n) for n in names if getattr(self, n) != getattr(usual, n)}
        return json.dumps(said, sort_keys=True)


@cache
def roles() -> Mapping[str, Role]:
    """Returns arm -> role for every file of an arm. Raises ConfigError for a role that cannot be
    used."""
    found = {}
    for file in sorted((CONF / "arm").glob("*.yaml")):
        said = yaml.safe_load(file.read_text()).get(ROLE)
        found[file.stem] = role({} if said is None else said, f"conf/arm/{file.name}: {ROLE}")
    return found


def role_of(arm: str, tag: str = "") -> Role:
    """Returns the role of an arm, from the tag of its run if there is one, else from the file of
    the arm; an arm without a file has the default role. Raises ConfigError."""
    if not tag:
        return roles().get(arm, Role())
    try:
        said = json.loads(tag)
    except ValueError:
        said = tag
    return role(said, f"{arm}: {ROLE}")


def role_in(settings: Mapping[str, Any]) -> Role:
    """Returns the role of the arm in a composed configuration; in one from a journal, which holds
    no role, that of the arm's file. Raises ConfigError."""
    said = settings.get(ROLE)
    return role(said, ROLE) if said else role_of(settings["arm"])


def role(said: Any, place: str) -> Role:
    """Returns the role from plain data; `place` is where it was found, for messages. Raises
    ConfigError."""
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
    """Returns the controls among these arms, ordered by their place."""
    chosen = [arm for arm, one in found.items() if one.control in kinds]
    return sorted(chosen, key=lambda arm: (found[arm].place, arm))


def checks(found: Mapping[str, Role]) -> dict[str, str]:
    """Returns arm -> the arm it is checked against, for the checks among these arms."""
    return {arm: one.checked_against for arm, one in found.items() if one.checked_against}
