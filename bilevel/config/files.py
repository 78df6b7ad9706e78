"""The folders of configuration files: the platform's own, and those of a user."""

from collections.abc import Sequence
from pathlib import Path

from bilevel.errors import ConfigError

CONF = (Path(__file__).parents[1] / "conf").resolve()
_OPTIONS = ("--config-dir", "-cd")  # Hydra's, for a user's own folder beside that one


def given(arguments: Sequence[str]) -> tuple[tuple[Path, ...], list[str]]:
    """Returns the absolute folders that the arguments add, and the other arguments. Raises
    ConfigError."""
    folders, others, rest = [], [], list(arguments)
    while rest:
        name, sign, value = rest.pop(0).partition("=")
        if name not in _OPTIONS:
            others.append(f"{name}{sign}{value}")
        elif not sign and not rest:
            raise ConfigError(f"{name}: expected a folder after it")
        else:
            folders.append(Path(value if sign else rest.pop(0)).resolve())
    return tuple(folders), others


def searched(folders: Sequence[Path]) -> list[str]:
    """Returns the override that adds the folders to Hydra's search path, if there are any."""
    places = ", ".join(f"'file://{folder}'" for folder in folders)
    return [f"hydra.searchpath=[{places}]"] if folders else []


def groups(folders: Sequence[Path]) -> list[str]:
    return sorted({f.name for folder in folders for f in folder.iterdir() if f.is_dir()})


def choices(group: str, folders: Sequence[Path]) -> list[str]:
    """Returns the names that a group can have."""
    return sorted({file.stem for folder in folders for file in (folder / group).glob("*.yaml")})


def found(group: str, name: str, folders: Sequence[Path]) -> Path | None:
    """Returns the first of these files, in Hydra's search order; None if there is none."""
    places = (folder / group / f"{name}.yaml" for folder in folders)
    return next((place for place in places if place.exists()), None)
