"""The refusal of a mechanism by a gate, in words that its author can act on."""


class Refused(Exception):
    """A gate's refusal. `core` is the reason without the situation and without the code's own
    words, which may differ the next time."""

    def __init__(self, reason: str, core: str = "") -> None:
        super().__init__(reason)
        self.core = core


def quoted(text: str, most: int = 120) -> str:
    """Returns a text as reasons quote it: on one line, cut at `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
