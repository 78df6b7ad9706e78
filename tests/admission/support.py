"""Sources of mechanisms for the gates: small ones, and the curated ones in one text each."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = """\
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal


class Mine(Mechanism):
    name = "mine"

"""


def mine(*lines: str, head: str = HEAD) -> str:
    """A mechanism with this body: each line as it stands in the class."""
    return head + "".join(f"    {line}\n" for line in lines)


SHARED = "bilevel.mechanisms.shared"


def curated(name: str) -> str:
    """A curated mechanism with the text that it imports of the shared ones written into it."""
    texts: dict[str, str] = {}
    _collect(f"bilevel.mechanisms.{name}", texts)
    return "\n\n".join(texts.values())


def _collect(module: str, texts: dict[str, str]) -> None:
    """The module's text after those of the shared modules it needs."""
    text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(SHARED):
            assert node.module
            if node.module not in texts:
                _collect(node.module, texts)
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    texts[module] = "".join(lines)
