"""A small corpus of made-up sentences, prepared once, and ways to run the harness on it."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bilevel.tasks.cpu_gpt.corpus import Corpus
from bilevel.tasks.cpu_gpt.identity import SCRIPT
from bilevel.tasks.cpu_gpt.prepare import prepare

SMALL = {"TOTAL_BATCH_SIZE": "2**9", "DEVICE_BATCH_SIZE": "4", "ASPECT_RATIO": "32"}


def sentences(lines: int) -> str:
    rng = random.Random(5)
    words = ["".join(rng.choices("aeioulnrst", k=rng.randint(2, 8))) for _ in range(300)]
    return "".join(" ".join(rng.choices(words, k=12)) + ".\n" for _ in range(lines))


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "sentences.txt"
    path.write_text(sentences(2000), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def corpus(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return prepare(text_file, tmp_path_factory.mktemp("cache"))


def edited(folder: Path, constants: Mapping[str, str] = SMALL) -> Path:
    """The training script with some constants replaced."""
    source = SCRIPT.read_text()
    for name, value in constants.items():
        source, found = re.subn(rf"(?m)^{name} = .*?(?=  #)", f"{name} = {value}", source)
        assert found == 1, name
    path = folder / "train.py"
    path.write_text(source)
    return path


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def result(self) -> list[str]:
        """The summary lines that must not depend on the machine's mood."""
        kept = ("val_bpb:", "modelled_seconds:", "num_steps:")
        return [line for line in self.out.splitlines() if line.startswith(kept)]


def harness_command(script: Path, corpus: Corpus, *more: str, budget_s: float = 0.1) -> list[str]:
    return [
        sys.executable, "-m", "bilevel.tasks.cpu_gpt.harness",
        *harness_args(script, corpus, *more, budget_s=budget_s),
    ]  # fmt: skip


def harness_args(script: Path, corpus: Corpus, *more: str, budget_s: float = 0.1) -> list[str]:
    given = ["--seed", "3", "--budget-s", str(budget_s), "--corpus", str(corpus.folder)]
    return [str(script), *given, *more]


def run(command: list[str]) -> Finished:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return Finished(done.returncode, done.stdout, done.stderr)
