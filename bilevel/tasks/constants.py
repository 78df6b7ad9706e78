"""Reads and edits a script's top-level constants through its syntax tree, never by pattern."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from bilevel.errors import TaskError

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}


def _literal(node: ast.expr) -> Any:
    """The value of a literal or of arithmetic between literals, as in `2**19`."""
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _ARITHMETIC[type(node.op)](_literal(node.left), _literal(node.right))
    if isinstance(node, ast.Tuple):
        return tuple(_literal(part) for part in node.elts)
    return ast.literal_eval(node)


def _assignments(source: str, name: str) -> dict[str, ast.expr]:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise TaskError(f"{name} does not parse: line {error.lineno}: {error.msg}") from None
    found: dict[str, ast.expr] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id in found:
            found[target.id] = ast.Name("assigned twice")
        elif isinstance(target, ast.Name):
            found[target.id] = value
    return found


def read(source: str, names: list[str], *, script: str = "the script") -> dict[str, Any]:
    """The values of these constants. Raises TaskError for one that is missing or no literal."""
    assigned = _assignments(source, script)
    values: dict[str, Any] = {}
    for name in names:
        if name not in assigned:
            valid = ", ".join(n for n in assigned if n.isupper()) or "none"
            raise TaskError(f"{script} has no top-level constant {name}; it has: {valid}")
        try:
            values[name] = _literal(assigned[name])
        except (ValueError, TypeError, ZeroDivisionError):
            raise TaskError(
                f"{script}: {name} is not assigned one literal, once; write it as one"
            ) from None
    return values


def edit(source: str, changes: Mapping[str, object], *, script: str = "the script") -> str:
    """The source with these constants set; everything else, comments too, stays as it is."""
    read(source, list(changes), script=script)
    assigned = _assignments(source, script)
    lines = source.encode().splitlines(keepends=True)  # columns are counted in UTF-8 bytes
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    raw = b"".join(lines)
    spots = sorted(((assigned[name], value) for name, value in changes.items()), key=_last_first)
    for node, value in spots:
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        raw = raw[:begin] + repr(value).encode() + raw[end:]
    return raw.decode()


def _last_first(spot: tuple[ast.expr, object]) -> tuple[int, int]:
    return -spot[0].lineno, -spot[0].col_offset
