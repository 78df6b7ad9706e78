"""A prepared corpus on disk: what files it has, and whether they are still what was written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevel.errors import TaskError

TRAIN, VALIDATION, TOKEN_BYTES = "train.bin", "validation.bin", "token_bytes.bin"
TOKENIZER, META = "tokenizer.json", "meta.json"
FILES = (TRAIN, VALIDATION, TOKEN_BYTES, TOKENIZER)


class DamagedCorpus(TaskError):
    """A cached file is missing or not what was written; says which and how."""


@dataclass(frozen=True)
class Corpus:
    """Token files are little-endian uint16; `digest` names their content."""

    folder: Path
    vocab_size: int
    digest: str

    def train_tokens(self) -> NDArray[np.uint16]:
        return np.fromfile(self.folder / TRAIN, dtype="<u2")

    def validation_tokens(self) -> NDArray[np.uint16]:
        return np.fromfile(self.folder / VALIDATION, dtype="<u2")

    def token_bytes(self) -> NDArray[np.uint16]:
        """Bytes of text each token stands for, by token id."""
        return np.fromfile(self.folder / TOKEN_BYTES, dtype="<u2")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(sha256: dict[str, str]) -> str:
    """What training and validation depend on; the tokenizer's own file is not."""
    parts = [sha256[name] for name in (TRAIN, VALIDATION, TOKEN_BYTES)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def write_meta(folder: Path, vocab_size: int, recipe: dict[str, Any]) -> None:
    sha256 = {name: sha256_of(folder / name) for name in FILES}
    meta = {"recipe": recipe, "vocab_size": vocab_size, "sha256": sha256}
    (folder / META).write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n")


def open_corpus(folder: Path) -> Corpus:
    """Check every file against its recorded sha256.

    Raises:
        DamagedCorpus: a file is missing, cut short or changed.
    """
    try:
        meta = json.loads((folder / META).read_text())
        expected, vocab_size = meta["sha256"], int(meta["vocab_size"])
        found = {name: sha256_of(folder / name) for name in FILES}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCorpus(
            f"{folder} holds no whole corpus ({type(error).__name__}: {error})"
        ) from error
    changed = [name for name in FILES if found[name] != expected.get(name)]
    if changed:
        raise DamagedCorpus(f"{folder} has changed since it was made: {', '.join(changed)}")
    return Corpus(folder, vocab_size, digest_of(found))
