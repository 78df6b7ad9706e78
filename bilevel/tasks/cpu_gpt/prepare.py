"""Make the benchmark's corpus once a machine: fetch text, train a tokenizer, cache the tokens."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from platformdirs import user_cache_path

from bilevel.errors import BadInput, BilevelError, TaskError
from bilevel.tasks.cpu_gpt import corpus as layout
from bilevel.tasks.cpu_gpt.corpus import Corpus, DamagedCorpus
from bilevel.tasks.cpu_gpt.texts import (
    PACKAGE,
    VALIDATION_EVERY,
    VALIDATION_SHARE,
    WHEEL_SHA256,
    Texts,
    default_texts,
    texts_of_file,
)

VOCAB_SIZE = 2048
_RECIPE_VERSION = 1  # raise it when the same source would give other tokens
DEFAULT_SHA256 = {
    layout.TRAIN: "dd85e978a2859dc4e8818dcfa9db9b8b140784b653001dc2528517f57ff39238",
    layout.VALIDATION: "c5c77b1745cbaab0d9be2380cec0f58944fc1b589a74172f70ee930603e47a2c",
    layout.TOKEN_BYTES: "b457123b13494de3b3bb0fbfbe68733e642f38225544a47eaa7929688e6169dd",
}
"""The default corpus, frozen: results are comparable only between runs on these very bytes."""
MADE_WITH = "0.23.3"  # a version of tokenizers that gives them


def prepare(text: Path | None = None, cache: Path | None = None) -> Corpus:
    """The prepared corpus, made on the first call and checked on every one.

    Safe to call from several processes: one makes it, the others wait. A damaged cache is made
    again.

    Raises:
        BadInput: `text` cannot be used.
        TaskError: the default corpus cannot be fetched, or comes out with other bytes.
    """
    recipe = _recipe(text)
    name = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    root = (cache or _default_cache()) / "cpu_gpt"
    folder = root / f"{recipe['name']}-{name}"
    if folder.exists():
        try:
            return layout.open_corpus(folder)
        except DamagedCorpus as error:
            _say(f"{error}; making it again")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"cache folder {root} cannot be made ({error.strerror}); choose another with --cache "
            "or the environment variable BILEVEL_CACHE"
        ) from error
    with FileLock(f"{folder}.lock"):
        return _make(folder, recipe, text)


def _make(folder: Path, recipe: dict[str, Any], text: Path | None) -> Corpus:
    """Build beside `folder` and rename, so that a half-written corpus is never seen."""
    if folder.exists():  # made by whoever held the lock before, or damaged
        try:
            return layout.open_corpus(folder)
        except DamagedCorpus:
            shutil.rmtree(folder)
    started = time.monotonic()
    _say(f"reading {text or PACKAGE}")
    texts = default_texts() if text is None else texts_of_file(text)
    unfinished = f".building-{folder.name}-"
    for left_behind in folder.parent.glob(f"{unfinished}*"):  # by a process that was killed
        shutil.rmtree(left_behind)
    building = Path(tempfile.mkdtemp(prefix=unfinished, dir=folder.parent))
    try:
        vocab_size = _write_tokens(building, texts)
        layout.write_meta(building, vocab_size, recipe)
        if text is None:
            _check_frozen(building)
        building.chmod(0o755)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _say(f"{folder} made in {time.monotonic() - started:.1f} s")
    return layout.open_corpus(folder)


def _recipe(text: Path | None) -> dict[str, Any]:
    """Everything the tokens are made from; its hash names the cache folder."""
    common = {"version": _RECIPE_VERSION, "vocab_size": VOCAB_SIZE}
    if text is None:
        return common | {
            "name": "default",
            "package": PACKAGE,
            "sha256": WHEEL_SHA256,
            "validation_every": VALIDATION_EVERY,
        }
    if not text.is_file():
        raise BadInput(f"--text {text}: no such file; give a UTF-8 text file")
    return common | {
        "name": "text",
        "sha256": layout.sha256_of(text),
        "validation_share": VALIDATION_SHARE,
    }


def _default_cache() -> Path:
    chosen = os.environ.get("BILEVEL_CACHE")
    return Path(chosen) if chosen else user_cache_path("bilevel")


def _write_tokens(folder: Path, texts: Texts) -> int:
    """Train the tokenizer on the training split alone, encode both; returns the vocabulary size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    _say(f"training the tokenizer on {sum(map(len, texts.train)):,} characters")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts.train, trainer)
    tokenizer.save(str(folder / layout.TOKENIZER))
    vocab_size: int = tokenizer.get_vocab_size()
    for name, documents in ((layout.TRAIN, texts.train), (layout.VALIDATION, texts.validation)):
        parts = [np.array(e.ids, dtype="<u2") for e in tokenizer.encode_batch(documents)]
        tokens = np.concatenate(parts)
        tokens.tofile(folder / name)
        _say(f"{name}: {len(tokens):,} tokens of {sum(len(d.encode()) for d in documents):,} bytes")
    # one character of a byte-level token's name stands for one byte of text
    lengths = [len(str(tokenizer.id_to_token(token))) for token in range(vocab_size)]
    np.array(lengths, dtype="<u2").tofile(folder / layout.TOKEN_BYTES)
    return vocab_size


def _check_frozen(folder: Path) -> None:
    for name, expected in DEFAULT_SHA256.items():
        found = layout.sha256_of(folder / name)
        if found != expected:
            raise TaskError(
                f"the default corpus came out different: {name} has sha256 {found}, expected "
                f"{expected}. The source was verified, so tokenizers {version('tokenizers')} "
                "encodes differently; install one that is known to give these bytes: python -m "
                f"pip install tokenizers=={MADE_WITH}"
            )


def _say(message: str) -> None:
    print(f"prepare: {message}", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bilevel.tasks.cpu_gpt.prepare")
    parser.add_argument("--text", type=Path, help="a UTF-8 text file instead of the default corpus")
    parser.add_argument(
        "--cache", type=Path, help="cache folder; default: $BILEVEL_CACHE, or the user's"
    )
    options = parser.parse_args(argv)
    try:
        corpus = prepare(options.text, options.cache)
    except BilevelError as error:
        print(f"prepare: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{corpus.folder}\nvocab_size: {corpus.vocab_size}\ndigest: {corpus.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
