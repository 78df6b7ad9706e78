"""The description of the platform for authors of mechanisms: its interface in words, or its source.

A description does not change with the code behind it, so that a recorded search asks the same
questions again; it leaves out what a mechanism has no use for.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from bilevel import mechanism, parameters, space, toolkit, trace, view
from bilevel.errors import ConfigError
from bilevel.llm import prompts
from bilevel.loop import loop
from bilevel.tasks.outline import outline

INTERFACE, SOURCE = "interface", "source"
CONTEXTS = (INTERFACE, SOURCE)
DESCRIBED: Mapping[str, tuple[str, ...]] = {
    "loop": ("loop",),
    "hooks": ("hooks",),
    "view_outline": ("view",),
    "trace_outline": ("trace",),
    "space_outline": ("space",),
    "view": ("view",),
    "trace": ("trace",),
    "space": ("space", "limits", "examples"),
    "toolkit": ("toolkit",),
}
"""The parts that prompts ask for by name, and the files of the description that each is made of."""


def platform(context: str) -> Mapping[str, str]:
    """Returns the text of every part: descriptions (`interface`), or the modules themselves
    (`source`, as in arXiv 2603.23420, whose outer loop reads the code of the inner one). Raises
    ConfigError."""
    if context not in CONTEXTS:
        raise ConfigError(f"context={context!r}: expected one of {', '.join(CONTEXTS)}")
    return _sources() if context == SOURCE else _descriptions()


def _descriptions() -> dict[str, str]:
    return {
        part: "\n\n".join(prompts.render(f"interface/{name}").strip() for name in names)
        for part, names in DESCRIBED.items()
    }


def _sources() -> dict[str, str]:
    return {
        "loop": _source(loop),
        "hooks": _source(mechanism),
        "view_outline": _outlined(view),
        "trace_outline": _outlined(trace),
        "space_outline": _outlined(space),
        "view": _source(view),
        "trace": _source(trace),
        "space": f"{_source(space)}\n\n{_source(parameters)}",
        "toolkit": _source(toolkit),
    }


def _source(module: Any) -> str:
    return prompts.fenced(inspect.getsource(module), "python")


def _outlined(module: Any) -> str:
    """Returns the module's signatures and docstrings, without the bodies."""
    return prompts.fenced(outline(inspect.getsource(module)), "python")
