"""The parse gate: what is no Python, or too much of it, is told with its line."""

import pytest

from bilevel.admission.reading import MAX_CHARS, MAX_DEPTH, MAX_LINES, parsed
from bilevel.admission.refusal import Refused
from tests.admission.support import mine


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\ndef f(:\n    pass\n", "line 2: invalid syntax: `def f(:`"),
        ("x = 1\nif x:\npass\n", "line 3: expected an indented block"),
        ("x = 1\nreturn x\n", "line 2: 'return' outside function: `return x`"),
        ("x = (1,\n", "line 1: '(' was never closed: `x = (1,`"),
        ("a = 'half\n", "line 1: unterminated string literal"),
        ("", "the text is empty; give one Python module"),
        ("  \n\n", "the text is empty"),
        ("x = '\0'", "null bytes"),
        ("x = '\ud800'", "cannot be parsed: UnicodeEncodeError"),
        ("-" * 15_000 + "1", f"nested more than {MAX_DEPTH} levels deep"),
        ("x" + ".a" * 2_500, f"nested more than {MAX_DEPTH} levels deep"),
        ("x" + "()" * MAX_DEPTH, f"nested more than {MAX_DEPTH} levels deep"),
        ("#\n" * (MAX_LINES + 1), f"{MAX_LINES + 1} lines and"),
        ("#" * (MAX_CHARS + 1), f"at most {MAX_LINES} lines and {MAX_CHARS} characters"),
        ("```python\nx = 1\n```", "line 1: invalid syntax: ````python`"),
    ],
)
def test_what_cannot_be_read_is_refused(source: str, words: str) -> None:
    with pytest.raises(Refused) as refusal:
        parsed(source)
    assert words in str(refusal.value)


def test_a_warning_is_no_refusal() -> None:
    assert parsed(mine("pattern = '\\d'")).body


def test_a_long_sum_is_no_refusal() -> None:
    assert parsed("+".join(["1"] * (MAX_DEPTH - 10))).body
