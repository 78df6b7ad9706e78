"""Searches that other versions ran come out again from their journals alone."""

import gzip
import json
from pathlib import Path

import pytest

from bilevel.journal import Journal
from bilevel.rebuilt import exactly, rebuilt
from bilevel.settings import CONF

JOURNALS = Path(__file__).parent / "journals"
FILES = sorted(JOURNALS.glob("*/*.jsonl.gz"))


def unpacked(file: Path, results: Path) -> Path:
    """The journal where its search left it: the last entry says in which study."""
    written = gzip.decompress(file.read_bytes())
    ended = json.loads(written.splitlines()[-1])["data"]["search"]
    study: str = dict(word.split("=", 1) for word in ended.split())["study"]
    folder = results / "searches" / study / file.name.removesuffix(".jsonl.gz")
    folder.mkdir(parents=True)
    path = folder / "journal.jsonl"
    path.write_bytes(written)
    return path


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.name.split('.')[0]}")
def test_an_old_search_comes_out_again_from_its_journal(file: Path, tmp_path: Path) -> None:
    path = unpacked(file, tmp_path)
    found = exactly(rebuilt(path, CONF, [f"results={tmp_path}", "tracking=none"]), path)
    assert found.complete
    recorded = Journal.sealed_copy(path)
    trials = [e for e in recorded.entries if e["kind"] == "trial" and e["key"].startswith("L1/")]
    assert len(found.loops[0].trace) == len(trials) > 1


def test_every_arm_of_the_first_version_is_here() -> None:
    assert len([file for file in FILES if file.parent.name == "a2dd99f"]) == 25
