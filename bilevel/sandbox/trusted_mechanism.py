"""A mechanism from its source text, which a configuration or a journal holds whole."""

import hashlib
import inspect
import linecache
import sys
from types import ModuleType

from bilevel.errors import BadInput
from bilevel.mechanism import Mechanism


def load(source: str, name: str) -> Mechanism:
    """Return an instance of the one Mechanism class that the source defines, made without
    arguments.

    It runs in this process and is trusted like any other code. Raises BadInput, naming `name`.
    """
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    module = ModuleType(f"bilevel_source_{digest}")
    module.__file__ = f"<{name}.py {digest}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[module.__file__] = (len(source), None, lines, module.__file__)  # for tracebacks
    sys.modules[module.__name__] = module  # where its classes look their module up
    try:
        exec(compile(source, module.__file__, "exec"), vars(module))
    except Exception as error:  # somebody's file may fail in any way
        raise BadInput(f"{name}.py cannot be imported: {type(error).__name__}: {error}") from error
    classes = [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, Mechanism)
        and kind.__module__ == module.__name__
    ]
    if len(classes) != 1:
        named = ", ".join(kind.__name__ for kind in classes) or "none"
        raise BadInput(f"{name}.py defines {named}; expected exactly one subclass of Mechanism")
    try:
        return classes[0]()
    except TypeError as error:
        raise BadInput(f"{classes[0].__name__} of {name}.py: {error}; give defaults") from None
