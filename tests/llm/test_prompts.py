"""Prompt files: strict names, values taken as they are, digests."""

import pytest

from bilevel.llm import prompts


def test_values_are_never_expanded_again() -> None:
    text = prompts.render("repair", problem="$schema costs ${problem} $$5")
    assert "$schema costs ${problem} $$5" in text


@pytest.mark.parametrize("values", [{}, {"problem": "p", "extra": "e"}])
def test_names_must_match_the_file(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"repair.md: missing \[.*\], unknown \[.*\]"):
        prompts.render("repair", **values)


def test_a_fence_is_longer_than_what_it_holds() -> None:
    fenced = prompts.fenced("a\n````\nb")
    assert fenced.startswith("`````\n")
    assert fenced.endswith("\n`````")
    assert prompts.fenced("plain", "json") == "```json\nplain\n```"


def test_digests_tell_texts_apart() -> None:
    assert prompts.digest("a", "b") != prompts.digest("ab")
    assert prompts.digest("odd \ud800") == prompts.digest("odd \ud800")


def test_cells_stay_on_one_line() -> None:
    assert prompts.cell("a | b\nc") == "a / b c"
    assert prompts.cell("x" * 200, 10) == "xxxxxxx..."


def test_the_version_changes_with_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    before = prompts.version()
    assert len(before) == 16
    monkeypatch.setattr(prompts, "BESIDE", ())
    prompts.version.cache_clear()
    assert prompts.version() != before
    prompts.version.cache_clear()
