"""Finds the declaration of a setting: by the component that takes it, or by the platform's
groups."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Annotated, Any

from bilevel.errors import BilevelError, ConfigError
from bilevel.llm.endpoint import Endpoint
from bilevel.loop.rules import Rules
from bilevel.settings import (
    FREE,
    AboveOne,
    Amount,
    Count,
    Name,
    Seconds,
    Setting,
    Switch,
    Text,
    Whole,
    Words,
    one_of,
    settings_of,
)

_TARGET = "_target_"


@dataclass(frozen=True)
class Platform:
    """The settings of a configuration outside of groups, and the groups that decide nothing."""

    study: Annotated[Name, FREE]
    arm: Annotated[Name, FREE]
    seed: Annotated[Whole, FREE]
    fresh: Annotated[Switch, FREE]
    mend: Annotated[Switch, FREE]
    dry_run: Annotated[Switch, FREE]
    results: Annotated[Text, FREE]
    without: Words
    role: Annotated[Mapping[str, Any], FREE]
    tracking: Annotated[Mapping[str, Any], FREE]
    executor: Annotated[Mapping[str, Any], FREE]


@dataclass(frozen=True)
class _Search:
    trials: Count
    confirm_seeds: Whole


@dataclass(frozen=True)
class _AnyTask:
    """The settings that are read of any task that has them."""

    name: Text
    budget_s: Seconds
    limit_s: Seconds


@dataclass(frozen=True)
class _Inner:
    batch: Count
    probation: Count
    as_bilevel: Annotated[Mapping[str, Any], FREE]  # of which the proposer has what it needs
    tokens_a_call: Annotated[Amount, FREE]  # what a plan expects of its prompts


@dataclass(frozen=True)
class Outer:
    """The setting of all levels above the first: what authors of mechanisms are shown of the
    platform."""

    context: Annotated[str, *one_of(("interface", "source")), FREE]  # whoever is shown it has it


@dataclass(frozen=True)
class Level:
    """The settings of one level above the first; how its author of mechanisms is asked is its
    proposer's."""

    level: AboveOne
    every: Count
    session: Annotated[str, *one_of(("diagnose", "free")), FREE]


@dataclass(frozen=True)
class Baseline:
    """The estimates that a dry run needs of somebody else's proposer."""

    calls_a_trial: Annotated[Amount, FREE]
    tokens_a_call: Annotated[Amount, FREE]


_DESCRIBED: Mapping[str, Callable[..., Any]] = {
    "": Platform,
    "search": _Search,
    "rules": Rules,
    "task": _AnyTask,
    "llm": Endpoint,
    "inner": _Inner,
    "outer": Outer,
    "outer.levels.*": Level,
    "baseline": Baseline,
}
"""By the name of a group, `*` standing for any one name."""


def declared(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any, Setting]]:
    """Yields (dotted name, value, setting) for the declared settings, in their own order. Raises
    ConfigError for a component that cannot be imported."""
    yield from _below(settings, ())


def is_free(settings: Mapping[str, Any], key: str) -> bool:
    """Returns whether commands that continue a search may change this setting, which these settings
    need not hold."""
    node: Mapping[str, Any] = settings
    place: tuple[str, ...] = ()
    for name in key.split("."):
        setting = _settings_at(node, place).get(name)
        if setting is not None and FREE in setting.metadata:
            return True
        below = {} if _TARGET in node else node.get(name)
        node, place = below if isinstance(below, Mapping) else {}, (*place, name)
    return False


def shared(settings: Mapping[str, Any]) -> list[str]:
    """Returns the settings, as `key=value`, by which the searches of a study learn from each other;
    one that is interpolated is named by its shortest key."""
    found: dict[Setting, str] = {}
    for key, value, setting in declared(settings):
        if setting.is_shared(value):
            found[setting] = min(found.get(setting, f"{key}={value}"), f"{key}={value}", key=len)
    return list(found.values())


def _below(node: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[tuple[str, Any, Setting]]:
    known = _settings_at(node, place)
    for name, value in node.items():
        if name in known:
            yield ".".join((*place, name)), value, known[name]
        if isinstance(value, Mapping) and _TARGET not in node:
            yield from _below(value, (*place, name))


def _settings_at(node: Mapping[str, Any], place: tuple[str, ...]) -> Mapping[str, Setting]:
    """Returns name -> declared setting for the group at this place. A group with a `proposer` holds
    some of the proposer's own."""
    key = ".".join(place)
    group = _DESCRIBED.get(key) or _DESCRIBED.get(".".join((*place[:-1], "*")))
    proposer = node.get("proposer")
    inside = proposer.get(_TARGET) if isinstance(proposer, Mapping) else None
    found = dict(settings_of(component(inside, f"{key}.proposer"))) if inside else {}
    found |= settings_of(group) if group else {}
    target = node.get(_TARGET)
    return {**found, **settings_of(component(target, key))} if target else found


@cache
def component(target: str, key: str) -> Callable[..., Any]:
    """Returns the callable with this dotted name. Raises ConfigError where there is none."""
    first, *names = target.split(".")
    try:
        found = import_module(first)
        for place, name in enumerate(names, start=1):
            if not hasattr(found, name):
                import_module(".".join([first, *names[:place]]))
            found = getattr(found, name)
    except BilevelError:
        raise
    except Exception as error:  # whatever a module of somebody's own raises
        raise ConfigError(f"{_wrong(key, target)} ({type(error).__name__}: {error})") from error
    if not callable(found):
        raise ConfigError(_wrong(key, target))
    return found


def _wrong(key: str, target: str) -> str:
    said = "the dotted name of a class or a function that can be imported"
    return f"{key}.{_TARGET}={target!r}: expected {said}"
