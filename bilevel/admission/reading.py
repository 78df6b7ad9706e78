"""The first gate: the text is valid Python, and short enough for a person to read."""

import ast
import warnings

from bilevel import syntax
from bilevel.admission.refusal import Refused, quoted

MAX_CHARS = 20_000
MAX_LINES = 400
MAX_DEPTH = 200  # whoever reads a text later calls itself once a level


def parsed(source: str) -> ast.Module:
    """Returns the syntax tree. Raises Refused with the line and its text."""
    lines = source.splitlines()
    if len(source) > MAX_CHARS or len(lines) > MAX_LINES:
        raise Refused(
            f"{len(lines)} lines and {len(source)} characters; at most {MAX_LINES} lines and "
            f"{MAX_CHARS} characters are read: keep one idea, and drop the rest"
        )
    if not source.strip():
        raise Refused("the text is empty; give one Python module that defines a mechanism")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = syntax.parse(source)
            compile(source, "<mechanism>", "exec", dont_inherit=True)  # sees more than the parser
    except SyntaxError as error:
        number = error.lineno or 1
        text = lines[number - 1] if 0 < number <= len(lines) else ""
        raise Refused(f"line {number}: {error.msg}: `{quoted(text)}`") from None
    except ValueError as error:
        raise Refused(f"the text cannot be parsed: {type(error).__name__}: {error}") from None
    except (RecursionError, MemoryError):
        raise _too_deep() from None
    if _deeper(tree):
        raise _too_deep()
    return tree


def _deeper(tree: ast.Module) -> bool:
    """Returns whether the tree is nested deeper than allowed; iterative, for any depth."""
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)


def _too_deep() -> Refused:
    return Refused(
        f"the text is nested more than {MAX_DEPTH} levels deep (parentheses, attributes of "
        "attributes, elif after elif); give the parts names"
    )
