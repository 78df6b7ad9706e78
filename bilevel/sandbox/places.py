"""Where the interpreter and its libraries are, through every link on the way.

A virtual environment may be a link, hold links, or hold packages that are links one by one (into a
cache, say). A wall is built around real folders; the links that lead to them are told beside.
"""

import functools
import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1]
_PACKAGES = ("site-packages", "dist-packages", "python3*/site-packages", "python3*/dist-packages")


@functools.cache
def libraries() -> list[str]:
    return list(dict.fromkeys(sysconfig.get_paths()[name] for name in ("purelib", "platlib")))


def readable() -> list[str]:
    """Return the paths of the interpreter's files and its libraries, links unresolved."""
    paths = sysconfig.get_paths()
    base = sys.base_prefix
    wanted = [
        *(f"{sys.prefix}/pyvenv.cfg", f"{sys.prefix}/bin", f"{base}/lib", f"{base}/bin"),
        *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", sys.executable),
    ]
    return list(dict.fromkeys(path for path in wanted if Path(path).exists()))


def elsewhere() -> list[str]:
    """Return package folders of other environments that lie inside readable places."""
    own = {os.path.realpath(library) for library in libraries()}
    found = [path for root in readable() for place in _PACKAGES for path in Path(root).glob(place)]
    return [str(path) for path in found if path.is_dir() and os.path.realpath(path) not in own]


@functools.cache
def linked() -> dict[str, str]:
    """Return the packages among the libraries that are links: entry -> real folder or file. A
    package whose files are linked one by one is located by the first of them. The project itself
    is left out."""
    found = {}
    for library in libraries():
        for entry in os.scandir(library):
            place = _real(entry)
            if place and Path(place).exists() and not _PROJECT.is_relative_to(place):
                found[entry.path] = place
    return found


def _real(entry: os.DirEntry[str]) -> str | None:
    if entry.is_symlink():
        return os.path.realpath(entry.path)
    parts = os.scandir(entry.path) if entry.is_dir() else ()
    first = next((part.path for part in parts if part.is_symlink()), None)
    return first and str(Path(os.path.realpath(first)).parent)


def real(paths: Iterable[str]) -> list[str]:
    """Return the real paths, without those inside another one."""
    found: list[str] = []
    for place in sorted({os.path.realpath(path) for path in paths}):
        if not inside(place, found):
            found.append(place)
    return found


def inside(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def links(paths: Iterable[str], places: Iterable[str]) -> dict[str, str]:
    """Return link -> target for the links along these paths that lie in none of the places."""
    found: dict[str, str] = {}
    for path in paths:
        at, left = Path("/"), [*Path(path).parts[1:]]
        while left:
            step = Path(os.path.normpath(at / left.pop(0)))
            if not step.is_symlink():
                at = step
                continue
            target = step.readlink()
            if not inside(str(step), places):
                found[str(step)] = str(target)
            at = Path("/") if target.is_absolute() else at
            left = [part for part in target.parts if part != "/"] + left
    return found
