"""The second gate: static checks of the text.

The lint is help for authors, and no protection: it names what would fail later, at its line, with
what is allowed. Code written to get around it will; the sandbox protects.
"""

import ast
import inspect
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bilevel.admission.names import Finding, chance, imports, tricks
from bilevel.admission.refusal import Refused
from bilevel.mechanism import CARRIERS, HOOKS, Mechanism

NAME = re.compile(r"[\w.-]{1,80}")
DECIDING = tuple(hook for hook in HOOKS if hook != "observe")
_RESERVED = (
    *("baseline", "retest", "confirmation", "noise", "proposer", "llm", "random", "resampled"),
    *("optuna", "tuner", "inventor", "patch", "other", "nobody", "none"),
)
"""What a trial's origin may be called where no mechanism is meant."""
_SHOWN = 8  # findings in one reason


@dataclass(frozen=True)
class Declared:
    """The name, carrier, hooks and class that a text declares for its mechanism."""

    name: str
    carrier: str
    hooks: tuple[str, ...]
    kind: str


def linted(tree: ast.Module, taken: Collection[str] = ()) -> Declared:
    """Returns what the text declares. Raises Refused with every finding and its line."""
    classes = _mechanisms(tree)
    if len(classes) != 1:
        named = ", ".join(f"{c.name} (line {c.lineno})" for c in classes) or "none"
        raise Refused(
            f"subclasses of Mechanism: {named}; expected exactly one, as in "
            "`from bilevel.mechanism import Mechanism` and `class Mine(Mechanism):`"
        )
    kind = classes[0]
    name, named_at = _literal(kind, "name", "")
    carrier, carried_at = _literal(kind, "carrier", Mechanism.carrier)
    hooks = {d.name: d for d in kind.body if isinstance(d, ast.FunctionDef) and d.name in HOOKS}
    findings = [
        *_named(name, named_at, taken),
        *_carried(carrier, carried_at),
        *_hooked(kind, hooks),
        *_made(kind),
        *_assigned(kind),
        *imports(tree),
        *tricks(tree),
        *chance(tree),
    ]
    if findings:
        raise Refused(_listed(findings))
    own = tuple(hook for hook in HOOKS if hook in hooks)
    return Declared(str(name), str(carrier), own, kind.name)


def _listed(findings: Collection[Finding]) -> str:
    lines = [f"line {line}: {text}" for line, text in sorted(findings)]
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more


def _mechanisms(tree: ast.Module) -> list[ast.ClassDef]:
    """Returns the classes that inherit from Mechanism, directly or not, by the names of their
    bases."""
    known = {"Mechanism"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "bilevel.mechanism":
            known |= {a.asname for a in node.names if a.name == "Mechanism" and a.asname}
    found: list[ast.ClassDef] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(_last(base) in known for base in node.bases):
            known.add(node.name)
            found.append(node)
    return found


def _last(node: ast.AST) -> str:
    """Returns the last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _literal(kind: ast.ClassDef, key: str, default: str) -> tuple[object, int]:
    """Returns the literal that the class body last assigns to a name, and its line; None where it
    is not a literal."""
    found: tuple[object, int] = default, kind.lineno
    for node in kind.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == key for t in targets):
            value = getattr(node, "value", None)
            found = (value.value if isinstance(value, ast.Constant) else None), node.lineno
    return found


def _named(name: object, line: int, taken: Collection[str]) -> Iterator[Finding]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        expected = 'of at most 80 letters, digits, "_", "." and "-", written as a literal'
        yield line, f'the class needs a name {expected}, as in `name = "cool_down"`; got {name!r}'
    elif name in _RESERVED:
        yield line, f"name={name!r} is the platform's; choose another than {', '.join(_RESERVED)}"
    elif name in taken:
        yield line, f"name={name!r} is taken; taken: {', '.join(sorted(taken))}"


def _carried(carrier: object, line: int) -> Iterator[Finding]:
    if carrier not in CARRIERS:
        yield line, f"carrier={carrier!r} is unknown; valid: {', '.join(CARRIERS)}"


def _hooked(kind: ast.ClassDef, hooks: dict[str, ast.FunctionDef]) -> Iterator[Finding]:
    if not set(hooks) & set(DECIDING):
        own = ", ".join(hooks) or "none"
        yield (
            kind.lineno,
            f"{kind.name} overrides no hook that can change anything (its hooks: {own}), so it "
            f"would be dead; define at least one of {', '.join(DECIDING)} in the class itself",
        )
    for node in kind.body:
        if isinstance(node, ast.AsyncFunctionDef) and node.name in HOOKS:
            yield node.lineno, f"{node.name} is async; a hook is a plain `def`"
    for name, node in hooks.items():
        parameters = list(inspect.signature(getattr(Mechanism, name)).parameters)
        if any(_last(decorator) != "override" for decorator in node.decorator_list):
            yield node.lineno, f"{name} has a decorator; a hook is a plain method"
        elif not _takes(node.args, len(parameters)):
            signature = f"def {name}({', '.join(parameters)})"
            yield node.lineno, f"{name} has other arguments than the loop gives it: `{signature}`"


def _takes(arguments: ast.arguments, count: int) -> bool:
    """Returns whether a call with so many positional arguments fits."""
    listed = len(arguments.posonlyargs) + len(arguments.args)
    needed = listed - len(arguments.defaults)
    open_ended = arguments.vararg is not None
    keywords = any(default is None for default in arguments.kw_defaults)
    return needed <= count and (count <= listed or open_ended) and not keywords


def _made(kind: ast.ClassDef) -> Iterator[Finding]:
    for node in kind.body:
        if not isinstance(node, ast.FunctionDef) or node.name != "__init__":
            continue
        if not _takes(node.args, 1):
            yield node.lineno, "__init__ has arguments without defaults; it is called with none"


def _assigned(kind: ast.ClassDef) -> Iterator[Finding]:
    """Hooks, the name and the carrier belong to the class: nothing else is looked at."""
    for node in kind.body:
        for part in ast.walk(node) if isinstance(node, ast.Assign | ast.AnnAssign) else ():
            if isinstance(part, ast.Name) and part.id in HOOKS and isinstance(part.ctx, ast.Store):
                yield node.lineno, f"{part.id} is assigned; write it as `def {part.id}(...)`"
    for one in [n for n in ast.walk(kind) if isinstance(n, ast.Attribute)]:
        of_self = _last(one.value) == "self" and isinstance(one.ctx, ast.Store)
        if of_self and one.attr in {*HOOKS, "name", "carrier"}:
            text = "the hooks, the name and the carrier are the class's; choose another attribute"
            yield one.lineno, f"self.{one.attr} is assigned: {text}"
