"""An outline of a script for whoever sets its constants: where they are used; the rest in short."""

import ast
from collections.abc import Collection, Iterator

from bilevel import syntax

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Lines = tuple[int, int]  # the first and the last of them, counted from one


def outline(source: str, constants: Collection[str] = ()) -> str:
    """The source without the assignments of these top-level constants, whose values are shown
    elsewhere, and of functions that neither read nor are given one of them only what they are
    called, take and say of themselves. What is not Python stays as it is."""
    try:
        tree = syntax.parse(source)
    except (SyntaxError, ValueError):
        return source
    lines: list[str | None] = [*source.splitlines()]
    for begun, last in _assigned(tree, constants):
        headed = (n for n in range(begun, 0, -1) if not str(lines[n - 2]).startswith("#") or n == 1)
        first = next(headed)  # with the comments above it
        lines[first - 1 : last] = [None] * (last - first + 1)
    wanted = set(constants)
    for first, last in _spare(tree, wanted, _given(tree, wanted)):
        text, before = str(lines[first - 1]), str(lines[first - 2])
        indent = text[: len(text) - len(text.lstrip())]
        lines[first - 1 : last] = [f"{indent}...", *[None] * (last - first)]
        if before.endswith(":"):  # no docstring
            lines[first - 2 : first] = [f"{before} ...", None]
    return _tidy([line for line in lines if line is not None])


def _assigned(tree: ast.Module, constants: Collection[str]) -> Iterator[_Lines]:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        if any(isinstance(t, ast.Name) and t.id in constants for t in targets):
            yield node.lineno, node.end_lineno or node.lineno


def _given(tree: ast.Module, constants: set[str]) -> set[str]:
    """The names of functions and classes that are called with one of the constants."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    used = [c for c in calls if any(_reads(a, constants) for a in (*c.args, *c.keywords))]
    return {ast.unparse(call.func).rpartition(".")[2] for call in used}


def _spare(node: ast.AST, constants: set[str], given: set[str]) -> Iterator[_Lines]:
    """The bodies that can be left out, without their docstrings."""
    for part in ast.iter_child_nodes(node):
        if not isinstance(part, _Function):
            yield from _spare(part, constants, given)
            continue
        made = isinstance(node, ast.ClassDef) and part.name == "__init__" and node.name in given
        body = part.body[1:] if ast.get_docstring(part) is not None else part.body
        if made or part.name in given or not body or _reads(part, constants):
            continue
        decorators = getattr(body[0], "decorator_list", [])
        first = min(line.lineno for line in (body[0], *decorators))
        if first > part.lineno and ast.unparse(body[0]) != "...":
            yield first, part.end_lineno or first


def _reads(node: ast.AST, constants: set[str]) -> bool:
    return any(isinstance(part, ast.Name) and part.id in constants for part in ast.walk(node))


def _tidy(lines: list[str]) -> str:
    """No more than two empty lines in a row, and none at either end."""
    kept: list[str] = []
    for line in lines:
        if line.strip() or kept[-2:] != ["", ""]:
            kept.append(line.rstrip())
    return "\n".join(kept).strip("\n") + "\n"
