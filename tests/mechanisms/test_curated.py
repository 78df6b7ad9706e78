"""The arm with the whole library: what is in it, and that its parts get along."""

from pathlib import Path

import pytest

from bilevel.journal import Journal, projection, read
from bilevel.loop.activations import Liveness
from bilevel.tasks.surrogate import LANDSCAPES
from tests.bench.library import CURATED, made, names
from tests.mechanisms.support import FREELY_WRITTEN, classes, search


def test_it_holds_every_mechanism_but_controls_and_search_methods() -> None:
    controls = {"restart", "placebo", "from_baseline", "as_published"}
    library = {kind.name for kind in classes()} - controls - {*FREELY_WRITTEN}
    assert sorted(names(CURATED)) == sorted(library)


@pytest.mark.slow
def test_everybody_gets_a_turn_somewhere() -> None:
    live, origins = set[str](), set[str]()
    for landscape in LANDSCAPES:
        ran = search(*(made(name) for name in names(CURATED)), task=landscape, trials=30)
        states = {name: ran.pipeline.liveness(name, trial=31) for name in names(CURATED)}
        live |= {name for name, state in states.items() if state is Liveness.LIVE}
        origins |= {trial.proposal.origin for trial in ran.trace}
    assert "llm" in origins
    assert {*names(CURATED)} - live <= {"crash_memory"}  # nothing may crash twice at one place


def test_a_stopped_search_continues_to_the_same_journal(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    for path, lines in ((whole, 0.0), (cut, 0.6)):
        if lines:
            written = whole.read_text().splitlines(keepends=True)
            path.write_text("".join(written[: int(len(written) * lines)]))
        with Journal(path) as journal:
            search(*(made(name) for name in names(CURATED)), journal=journal)
    assert projection(read(cut)) == projection(read(whole))
