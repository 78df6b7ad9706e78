"""How a gate refuses a mechanism, in words that whoever wrote it can act on."""


class Refused(Exception):
    """A gate's refusal: its reason, and what is left of it without the place and without what the
    code itself said, where that may be another one next time."""

    def __init__(self, reason: str, core: str = "") -> None:
        super().__init__(reason)
        self.core = core


def quoted(text: str, most: int = 120) -> str:
    """A text as reasons show it: in one line, and cut."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
