"""Says at the start of a command that a machine cannot run it, before something fails halfway."""

import platform

from bilevel.errors import BadInput


def check_machine() -> None:
    """Raises BadInput: processes end with their parents, and journals are written, as on Linux."""
    found = platform.system()
    if found != "Linux":
        raise BadInput(f"this is {found or 'an unknown system'}, and searches run on Linux only")
