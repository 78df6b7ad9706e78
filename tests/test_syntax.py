"""Several threads may parse at a time."""

import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bilevel.admission.reading import parsed
from bilevel.tasks.constants import read
from bilevel.tasks.cpu_gpt.task import SCRIPT
from bilevel.tasks.edits import unparsable


@pytest.mark.parametrize(
    "parse",
    [
        lambda source: read(source, ["DEPTH"]),
        lambda source: unparsable(source, "train.py"),
        lambda source: parsed(source[: source.index("\nclass ")]),
    ],
    ids=["constants", "edits", "admission"],
)
def test_several_threads_may_parse_at_a_time(parse: Callable[[str], object]) -> None:
    """Python 3.11 counts the parser's depth once for all threads, which a collection of garbage in
    the middle of one lets others confuse."""
    source, before = SCRIPT.read_text(), gc.get_threshold()

    def switch(*_: object) -> None:
        time.sleep(1e-4)

    gc.callbacks.append(switch)
    gc.set_threshold(200)
    try:
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda _: parse(source), range(12)))
    finally:
        gc.callbacks.remove(switch)
        gc.set_threshold(*before)
    assert len(found) == 12
