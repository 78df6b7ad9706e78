"""Names a value that is too long to read, wherever settings are told or compared."""

import hashlib

SHOWN_CHARS = 120


def short(value: object) -> str:
    """A text too long to read is named by its digest."""
    shown = repr(value)
    if len(shown) <= SHOWN_CHARS:
        return shown
    return f"{len(shown)} characters ({hashlib.sha256(shown.encode()).hexdigest()[:8]})"
