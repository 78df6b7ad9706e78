"""The shipped traces are read as they lie, and written again as they are."""

import json

import pytest

from bilevel.admission.shipped import FOLDER, loaded, names, written


@pytest.mark.parametrize("name", names())
def test_a_shipped_trace_is_what_is_written_of_it_today(name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text()
    view = loaded(name)
    assert len(view.trace) > 10
    assert view.incumbent is not None
    assert written(view, json.loads(text)["about"]) == text
