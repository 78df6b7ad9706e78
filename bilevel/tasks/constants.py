"""Reads and edits a script's top-level constants through its syntax tree, never by pattern."""

import ast
import io
import operator
import tokenize
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bilevel import syntax
from bilevel.errors import TaskError

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}


class Spot(NamedTuple):
    """A place in a source, and its replacement."""

    node: ast.expr
    value: object


def _literal(node: ast.expr) -> Any:
    """Return the value of a literal or of arithmetic between literals, as in `2**19`."""
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _ARITHMETIC[type(node.op)](_literal(node.left), _literal(node.right))
    if isinstance(node, ast.Tuple):
        return tuple(_literal(part) for part in node.elts)
    return ast.literal_eval(node)


def is_whole(node: ast.expr) -> bool:
    """Return whether the node is a literal whole number, as `42`, `2**19` or `-1`."""
    try:
        return type(_literal(node)) is int
    except (ValueError, TypeError, ArithmeticError):
        return False


def parsed(source: str, script: str) -> ast.Module:
    """Return the syntax tree. Raises TaskError, with the line, for invalid Python."""
    try:
        return syntax.parse(source)
    except SyntaxError as error:
        raise TaskError(f"{script} does not parse: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, or too deep
        raise TaskError(f"{script} does not parse: {error}") from None


def _assignments(source: str, script: str) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for statement in parsed(source, script).body:
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


def names(source: str) -> set[str]:
    """Return the names assigned at the top level; empty for invalid Python."""
    try:
        return set(_assignments(source, "the script"))
    except TaskError:
        return set()


def read(source: str, wanted: Iterable[str], *, script: str = "the script") -> dict[str, Any]:
    """Return the values of these constants. Raises TaskError for one that is missing or no
    literal."""
    assigned = _assignments(source, script)
    values: dict[str, Any] = {}
    for name in wanted:
        if name not in assigned:
            valid = ", ".join(n for n in assigned if n.isupper()) or "none"
            raise TaskError(f"{script} has no top-level constant {name}; it has: {valid}")
        try:
            values[name] = _literal(assigned[name])
        except (ValueError, TypeError, ArithmeticError):
            raise TaskError(
                f"{script}: {name} is not assigned one literal, once; write it as one"
            ) from None
    return values


def comments(source: str, wanted: Iterable[str]) -> dict[str, str]:
    """Return the comment on the line that ends each of these constants; none for one without a
    comment, and empty for invalid Python."""
    try:
        assigned = _assignments(source, "the script")
        tokens = [*tokenize.generate_tokens(io.StringIO(source).readline)]
    except (TaskError, tokenize.TokenError, SyntaxError):
        return {}
    said = {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}
    ends = {n: getattr(assigned[n], "end_lineno", None) for n in wanted if n in assigned}
    return {name: said[line] for name, line in ends.items() if line in said}


def edit(source: str, changes: Mapping[str, object], *, script: str = "the script") -> str:
    """Return the source with these constants set; everything else, comments too, is unchanged."""
    if not changes:
        return source  # which may be in any language
    read(source, changes, script=script)
    assigned = _assignments(source, script)
    return replaced(source, [Spot(assigned[name], value) for name, value in changes.items()])


def replaced(source: str, spots: Sequence[Spot]) -> str:
    """Return the source with these spots rewritten and every other byte unchanged."""
    lines = source.encode().splitlines(keepends=True)  # columns are counted in UTF-8 bytes
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    raw = b"".join(lines)
    for node, value in sorted(spots, key=_last_first):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        raw = raw[:begin] + repr(value).encode() + raw[end:]
    return raw.decode()


def _last_first(spot: Spot) -> tuple[int, int]:
    return -spot.node.lineno, -spot.node.col_offset
