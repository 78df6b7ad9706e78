"""Binds the name of an arm to its parts: a composition with another part gets another name, in
folders, tags and reports, so that it is never taken for the arm."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf

from bilevel.config import files
from bilevel.config.checks import ROLE
from bilevel.errors import ConfigError

_GROUPS = ("inner", "outer", "baseline", "mechanisms")
LONGEST = 100  # characters of a name
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]")


def bound(config: DictConfig, hydra: Any) -> DictConfig:
    """Returns a job's configuration under the name of its parts; an arm without a language model
    gets none, whatever the sweep sets. Raises ConfigError for a baseline that the arm does not
    use."""
    given, choices = _lists(hydra.overrides.task), hydra.runtime.choices
    sources = hydra.runtime.config_sources
    folders = [Path(source.path) for source in sources if source.schema == "file"]
    [arm, *more] = _chosen("arm", choices, [given])
    if more:
        raise ConfigError(f"arm=[{', '.join([arm, *more])}]: expected one; several are a sweep: -m")
    own = _composed("arm", arm, folders)
    named = _chosen("experiment", choices, [given])
    experiments = [_composed("experiment", name, folders) for name in named]
    listed = [given, *reversed(experiments), own]
    chosen = {group: _chosen(group, choices, listed) for group in _GROUPS}
    for group in [group for group in _GROUPS if not chosen[group]]:
        raise ConfigError(f"{group}=[]: expected a choice; {group}=none is one")
    _check_baseline(config, chosen, folders)
    usual = {**_composed("", "config", folders), **own}
    other = [name for group in _GROUPS if chosen[group] != usual[group] for name in chosen[group]]
    made = config.copy()
    OmegaConf.set_struct(made, False)
    left_out = [f"without-{_NO_NAME.sub('_', name)}" for name in dict.fromkeys(config.without)]
    made.arm = _short("-".join([config.arm, *other, *left_out]))
    if made.arm != config.arm:
        made.pop(ROLE, None)  # it is another arm, of which nobody has said what it is
    if not other and own.get("llm") == ["none"]:
        made.llm = OmegaConf.load(files.CONF / "llm" / "none.yaml")
    OmegaConf.set_struct(made, True)
    return made


def check_mode(hydra: Any) -> None:
    """Raises ConfigError where a sweep would be run as one search."""
    if hydra.mode == RunMode.RUN and hydra.sweeper.params:
        name = hydra.runtime.choices.get("experiment")
        raise ConfigError(f"{f'+experiment={name}' if name else 'this'} is a sweep: add -m")


def _chosen(
    group: str, choices: Mapping[str, Any], sources: Sequence[Mapping[str, list[str]]]
) -> list[str]:
    """Returns the choices of a group: Hydra's record, or for a list, which Hydra does not record,
    that of the first source that has one."""
    if group in choices:
        return _names(choices[group])
    return next((source[group] for source in sources if group in source), [])


def _lists(overrides: Sequence[str]) -> dict[str, list[str]]:
    """Returns group -> choices where the command line gives a list."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = {override.key_or_group: override.value() for override in parsed}
    return {key: _names(value) for key, value in values.items() if isinstance(value, list)}


def _composed(group: str, name: str, folders: Sequence[Path]) -> dict[str, list[str]]:
    """Returns group -> choices in the defaults of a configuration file."""
    made: dict[str, list[str]] = {}
    file = files.found(group, name, folders)
    defaults = file and OmegaConf.select(OmegaConf.load(file), "defaults")
    for entry in defaults or ():
        for key, value in entry.items() if isinstance(entry, DictConfig) else ():
            made[str(key).removeprefix("override ").removeprefix("/")] = _names(value)
    return made


def _names(value: Any) -> list[str]:
    return [*map(str, value)] if isinstance(value, list | ListConfig) else [str(value)]


def _check_baseline(
    config: DictConfig, chosen: Mapping[str, list[str]], folders: Sequence[Path]
) -> None:
    wanted, used = (
        OmegaConf.select(config, f"{group}.proposer._target_") for group in ("baseline", "inner")
    )
    if wanted in (None, used):
        return
    baseline, inner = (", ".join(chosen[group]) for group in ("baseline", "inner"))
    arm = f"arm={baseline} (or inner=baseline)"
    choose = arm if files.found("arm", baseline, folders) else "inner=baseline"
    raise ConfigError(f"baseline={baseline} is not asked where inner={inner}: choose {choose}")


def _short(name: str) -> str:
    """Returns the name; one that is too long is cut, with a digest."""
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
