"""Composes settings from overrides, and explains errors in them with the valid choices."""

import contextlib
import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bilevel.config import files
from bilevel.config.former_names import current
from bilevel.errors import BilevelError, ConfigError

REPORTED = (BilevelError, HydraException, OmegaConfBaseException, OSError)
"""The errors that a command reports in one line, as `reported_as` puts them."""


KEY = re.compile(r"(?:Could not \w+|Error merging override)[^']*'?([\w./@+~-]+)")

_TWICE = re.compile(r"Multiple values for (\S+)\.|(\S+) appears more than once")


def explain(error: Exception, conf: Path, arguments: Sequence[str]) -> ConfigError:
    """Returns the error to report: what was given, what is wrong with it, and the valid choices."""
    own, overrides = files.given(arguments)
    folders = (conf, *own)
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    text = "; ".join(dict.fromkeys(_first_line(cause) for cause in causes))
    if isinstance(error, OverrideParseException) and "=" not in error.override:
        return ConfigError(f"{error.override} is not an override; write key=value")
    if twice := _TWICE.search(str(error)):
        group = twice[1] or twice[2]
        for given in (o.removeprefix("+") for o in overrides if o.startswith(f"+{group}=")):
            return ConfigError(f"{group} has a choice already; write {given}")
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_such_choice(error.missing_cfg_file, folders)
    named = KEY.search(str(error))
    if named is None:
        return ConfigError(str(error) if "\n" in str(error).strip() else text)
    return _of_a_key(named[1].split("=")[0].lstrip("+~"), folders, overrides, text)


def _of_a_key(
    key: str, folders: Sequence[Path], overrides: Sequence[str], text: str
) -> ConfigError:
    """Returns the error of an override of this key; `text` is what it says of itself."""
    others = [o for o in overrides if o.split("=")[0].lstrip("+~") != key]
    config = _composed(folders, [_of_one(o) for o in others])
    if config is None:
        return ConfigError(text)
    if key in _keys(config):
        swept = ", ".join(o for o in others if _of_one(o) != o)
        before = f"{key} is read before what is swept ({swept}) is chosen: write ++{key}=..."
        return ConfigError(before if swept else text)
    valid = _near(key, config)
    close = difflib.get_close_matches(key, _keys(config), n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return ConfigError(f"{key} is not a setting{hint} Valid here: {', '.join(valid)}")


def composed(conf: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Returns the settings that overrides, and folders with a user's own files, stand for, as the
    main command composes them. Raises ConfigError as `explain` words it."""
    try:
        return plain(unresolved(conf, overrides))
    except OmegaConfBaseException as error:
        raise explain(error, conf, overrides) from None


def unresolved(conf: Path, overrides: Sequence[str]) -> DictConfig:
    """Returns the same with its interpolations still in it. Raises ConfigError."""
    own, given = files.given(overrides)
    for folder in own:
        if not folder.is_dir():
            raise ConfigError(f"--config-dir={folder}: there is no such folder")
    try:
        with _initialised(conf):
            return compose("config", overrides=[*files.searched(own), *given])
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, conf, overrides) from None


@contextlib.contextmanager
def _initialised(conf: Path) -> Iterator[None]:
    """Composes from this folder; a command that Hydra runs goes on afterwards as it was."""
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf), version_base=None):
            yield
    finally:
        GlobalHydra.instance().hydra = running


def plain(config: DictConfig) -> dict[str, Any]:
    """Returns the resolved configuration as plain data, without Hydra's own node."""
    made: Any = OmegaConf.to_container(config, resolve=True)
    return {str(key): current(value) for key, value in made.items() if key != "hydra"}


def _no_such_choice(missing: str, folders: Sequence[Path]) -> ConfigError:
    group, _, choice = missing.removesuffix(".yaml").rpartition("/")
    groups = files.groups(folders)
    if group not in groups:
        known = ", ".join(groups)
        return ConfigError(f"there is no group {group or choice!r}; valid: {known}")
    valid = files.choices(group, folders)
    close = difflib.get_close_matches(choice, valid, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return ConfigError(f"{group}={choice} does not exist; {hint}Valid: {', '.join(valid)}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _composed(folders: Sequence[Path], overrides: Sequence[str]) -> DictConfig | None:
    """Returns the configuration of the other overrides; None where these are wrong too."""
    conf, *own = folders
    rest = [o for o in overrides if not o.startswith("-")]
    try:
        with _initialised(conf):
            return compose("config", overrides=[*files.searched(own), *rest])
    except (HydraException, OmegaConfBaseException):
        return None


def _of_one(override: str) -> str:
    """Returns the override with the first of the values that it sweeps over, or as it is."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        return override
    if not parsed.is_sweep_override():
        return override
    return f"{parsed.get_key_element()}={next(iter(parsed.sweep_string_iterator()))}"


def _keys(config: DictConfig) -> list[str]:
    found: list[str] = []

    def walk(node: object, prefix: str) -> None:
        if isinstance(node, DictConfig):
            for name in map(str, node):
                found.append(f"{prefix}{name}")
                if not (OmegaConf.is_interpolation(node, name) or OmegaConf.is_missing(node, name)):
                    walk(node[name], f"{prefix}{name}.")

    walk(config, "")
    return found


def _near(key: str, config: DictConfig) -> list[str]:
    """Returns the settings under the deepest existing parent of a key."""
    keys = _keys(config)
    parent = key
    while "." in parent:
        parent = parent.rpartition(".")[0]
        beside = [k for k in keys if k.rpartition(".")[0] == parent and "_target_" not in k]
        if beside:
            return beside
    return [k for k in keys if "." not in k]


def reported_as(error: BaseException) -> BilevelError:
    """Returns the error to report for one that a search raised: the BilevelError that caused it, or
    a new one with its message. An error that was handled before it is not a cause."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BilevelError):
            return cause
        cause = cause.__cause__
    if isinstance(error, OSError):
        return BilevelError(f"{error}; what was measured is kept, the same command continues")
    return ConfigError(" ".join(str(error).split()))
