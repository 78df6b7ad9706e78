"""Imports what a mechanism's text names at any depth, so that no call has to wait for a library."""

import ast
import importlib
import random
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any


def warm(source: str, chance: str) -> None:
    """Imports the modules that a source names, also by attribute, as `scipy.stats` after `import
    scipy`. Failed imports are ignored: the statement itself raises when it runs. Global random
    generators keep their state; a new one is seeded from `chance`."""
    tree = _tried(ast.parse, source)  # None where it is too deep for a tree
    found = list(ast.walk(tree)) if tree else []
    state, numbers = random.getstate(), "numpy.random" in sys.modules
    names: dict[str, Any] = {}
    for node in found:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.update(_imported(node))
    for node in found:
        if isinstance(node, ast.Attribute):
            _reach(node, names)
    random.setstate(state)
    if not numbers and "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed(random.Random(chance).getrandbits(32))


def _imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Any]]:
    """Yields the names that an import statement binds, with their modules."""
    if isinstance(statement, ast.Import):
        for one in statement.names:
            made = _tried(importlib.import_module, one.name)
            if one.asname is None:
                first = one.name.partition(".")[0]
                yield first, sys.modules.get(first)
            else:
                yield one.asname, made
    elif statement.module and not statement.level:
        for one in statement.names:
            source = _tried(__import__, statement.module, None, None, (one.name,))
            yield one.asname or one.name, _tried(getattr, source, one.name)


def _reach(expression: ast.expr, names: Mapping[str, Any]) -> None:
    """Imports the modules along an expression like `scipy.stats.qmc`."""
    path: list[str] = []
    while isinstance(expression, ast.Attribute):
        path.append(expression.attr)
        expression = expression.value
    at = names.get(expression.id) if isinstance(expression, ast.Name) else None
    while path and isinstance(at, ModuleType):
        at = _tried(getattr, at, path.pop())


def _tried(call: Any, *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except (Exception, SystemExit):  # a library may fail in any way
        return None
