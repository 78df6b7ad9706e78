"""What files hold, in few words: by all of it, or, where that is much, by samples of it."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
WHOLE_BYTES = 16 * 2**20  # up to here all is read, and the time of writing says nothing
SAMPLE_BYTES = 2**16
_SAMPLES = 16  # of a file, evenly spread
_SAMPLED_FILES = 64  # of a folder, evenly spread
NAMED_FILES = 64  # a folder with more of them is told as one


def fingerprints(place: Path, name: str) -> dict[str, str]:
    """Return fingerprints by name: of a file, or of every file in a folder; of a folder with
    many files, one for all."""
    if place.is_file():
        return {name: _fingerprint([(name, place)])}
    found = [(f"{name}/{path.relative_to(place)}", path) for path in sorted(_files(place))]
    if len(found) <= NAMED_FILES:
        return {each: _fingerprint([(each, path)]) for each, path in found}
    return {name: f"{len(found)} files, {_fingerprint(found)}"}


def digest(content: bytes) -> str:
    return f"sha256 {hashlib.sha256(content).hexdigest()[:16]}"


def _files(folder: Path) -> Iterator[Path]:
    """Yields regular files, without `__pycache__`."""
    seen: set[str] = set()
    for place, below, names in os.walk(folder, followlinks=True):
        below[:] = [name for name in below if name != "__pycache__"]
        if (real := os.path.realpath(place)) in seen:  # a link to a folder above it
            below.clear()
            continue
        seen.add(real)
        yield from (path for name in names if (path := Path(place, name)).is_file())


def _fingerprint(files: Sequence[tuple[str, Path]]) -> str:
    states = [path.stat() for _, path in files]
    size = sum(state.st_size for state in states)
    if size <= WHOLE_BYTES:
        if len(files) == 1:
            return digest(files[0][1].read_bytes())
        lines = [f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in files]
        return digest("\n".join(lines).encode())
    made = hashlib.sha256()
    for (name, _), state in zip(files, states, strict=True):
        made.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    for _, path in _spread(files, _SAMPLED_FILES):
        for sample in _samples(path):
            made.update(sample)
    return f"{size:,} bytes, by size, time of writing and samples {made.hexdigest()[:16]}"


def _samples(path: Path) -> Iterator[bytes]:
    starts = range(0, max(1, path.stat().st_size), SAMPLE_BYTES)
    with path.open("rb") as file:
        for start in _spread(starts, _SAMPLES):
            file.seek(start)
            yield file.read(SAMPLE_BYTES)


def _spread(items: Sequence[T], count: int) -> list[T]:
    """Return `count` evenly spaced items, with the first and the last."""
    if len(items) <= count:
        return list(items)
    return [items[round(n * (len(items) - 1) / (count - 1))] for n in range(count)]
