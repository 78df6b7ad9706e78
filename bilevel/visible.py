"""Shows control characters instead of letting a terminal obey them.

Much of what is printed was written by a model, a mechanism or a training script.
"""

import logging
import re

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # all controls but tab and newline: escapes, bells, returns
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"  # unseen, or turning text
    "\ud800-\udfff\U000e0000-\U000e007f]"  # halves of characters, tags
)


def visible(text: str) -> str:
    """The text with every character that a terminal obeys or hides as its escape (`\\x1b`)."""
    return _OBEYED.sub(lambda found: _escape(found[0]), text)


def line(text: str) -> str:
    """Returns the text as one line, with escapes as in `visible`."""
    return visible(text).replace("\n", "\\n").replace("\t", " ")


class Formatter(logging.Formatter):
    """A logging formatter that escapes control characters, in tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
