"""An edit matches once or says why not; a diff can be read."""

import pytest

from bilevel.tasks.edits import Edit, applied, diff, unparsable

TEXT = "a = 1\nb = 2\nfor _ in range(3):\n    b += a\nprint(b)\n"


def test_edits_are_made_in_order() -> None:
    edits = [Edit("a = 1", "a = 10"), Edit("a = 10\nb = 2", "a = b = 2")]
    assert applied(TEXT, edits) == TEXT.replace("a = 1\nb = 2", "a = b = 2")


def test_a_replacement_is_taken_as_it_is() -> None:
    assert applied(TEXT, [Edit("print(b)", r"print('\1 $b')")]).endswith("print('\\1 $b')\n")


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ([Edit("c = 3", "")], "edit 1: .*begins with 'c = 3', does not occur.*nearest line"),
        ([Edit("b", "c")], r"edit 1: .*occurs 3 times \(see lines 2, 4, 5\).*exactly once"),
        ([Edit("a = 1", "a = 2"), Edit("a = 1", "a = 3")], "edit 2: .*does not occur"),
        ([Edit("", "x")], "edit 1: its search text is empty"),
        ([Edit("    print(b)", "x")], "indentation; the nearest line is 'print"),
    ],
)
def test_what_does_not_match_once_is_told(edits: list[Edit], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        applied(TEXT, edits)


def test_what_does_not_parse_is_told_with_its_line() -> None:
    assert unparsable(TEXT, "train.py") == ""
    told = unparsable(TEXT.replace("range(3):", "range(3)"), "train.py")
    assert told.startswith("train.py does not parse: ")
    assert "line 3: for _ in range(3)" in told
    assert "does not parse" in unparsable("a\0", "train.py")


def test_a_diff_names_both_sides_and_only_what_changed() -> None:
    shown = diff(TEXT, applied(TEXT, [Edit("b = 2", "b = 3")]), "train.py", lines_around=1)
    assert shown.splitlines()[:2] == ["--- parent/train.py", "+++ train.py"]
    assert "-b = 2\n+b = 3\n" in shown
    assert "print" not in shown
    assert diff(TEXT, TEXT, "train.py") == ""
