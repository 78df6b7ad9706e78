"""Static checks of the names in a mechanism's text: modules, built-in functions, generators."""

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

Finding = tuple[int, str]  # the line, and what is wrong there
_STANDARD = (
    *("__future__", "abc", "bisect", "cmath", "collections", "contextlib", "copy", "dataclasses"),
    *("decimal", "difflib", "enum", "fractions", "functools", "hashlib", "heapq", "itertools"),
    *("json", "math", "numbers", "operator", "random", "re", "statistics", "string", "textwrap"),
    *("types", "typing", "unicodedata", "zlib"),
)
_LIBRARIES = ("numpy", "scipy", "sklearn")
WORDS = ("errors", "mechanism", "parameters", "randomness", "space", "toolkit", "trace", "view")
ALLOWED_IMPORTS = f"{', '.join(_STANDARD)}; {', '.join(_LIBRARIES)}; bilevel.{{{', '.join(WORDS)}}}"
_BUILTINS = frozenset(
    [
        *("exec", "eval", "compile", "open", "breakpoint", "globals", "locals"),
        *("__import__", "__builtins__", "__loader__", "__spec__", "vars", "dir"),
    ]
)
_DUNDERS = frozenset(
    [
        *("__init__", "__post_init__", "__name__", "__qualname__", "__class__", "__doc__"),
        *("__len__", "__setattr__", "__eq__", "__lt__", "__hash__", "__repr__", "__contains__"),
    ]
)
_REACHING_IN = ("getattr", "setattr", "delattr", "hasattr")
_REACHING = frozenset([*_REACHING_IN, "attrgetter", "methodcaller"])
_KEYED = (
    "use view.rng (a random.Random keyed by seed, trial and hook), bilevel.randomness.keyed(...) "
    "or numpy.random.default_rng(view.rng.getrandbits(32))"
)
_GENERATORS = ("default_rng", "Generator", "RandomState", "SeedSequence", "PCG64")
_SEEDED = frozenset(["random.Random", *(f"numpy.random.{one}" for one in _GENERATORS)])
_CHANCY = ("random", "numpy")


def imports(tree: ast.Module) -> Iterator[Finding]:
    """Yields the first import that is not allowed, with all modules that are."""
    for node in ast.walk(tree):
        for module in _modules(node):
            if not _allowed(module):
                yield (
                    node.lineno,  # type: ignore[attr-defined]
                    f"import of {module} is not allowed; allowed: {ALLOWED_IMPORTS}",
                )
                return


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        return [f"bilevel.{a.name}" for a in node.names] if module == "bilevel" else [module]
    return []


def _allowed(module: str) -> bool:
    parts = module.split(".")
    if parts[0] == "bilevel":
        return len(parts) == 2 and parts[1] in WORDS
    return parts[0] in _STANDARD or parts[0] in _LIBRARIES


def tricks(tree: ast.Module) -> Iterator[Finding]:
    """Yields built-in functions and attributes that get around the restrictions."""
    bound = _imported(tree)
    roots = {place.partition(".")[0] for place in bound.values()}
    for name in sorted(roots & {*_STANDARD, *_LIBRARIES}):  # and no deeper: some modules do things
        importlib.import_module(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _BUILTINS:
            yield node.lineno, f"{node.id} is not allowed; a mechanism computes from its view"
        elif isinstance(node, ast.Attribute) and _dunder(node.attr) and node.attr not in _DUNDERS:
            yield (
                node.lineno,
                f".{node.attr} is not allowed; of these: {', '.join(sorted(_DUNDERS))}",
            )
        elif (place := _place(node)) and (other := _other_module(place, bound)):
            text = f"`{place}` is the module {other}, which is not allowed; allowed: "
            yield node.lineno, text + ALLOWED_IMPORTS  # type: ignore[attr-defined]
        elif isinstance(node, ast.Call) and (why := _reached(node)):
            yield node.lineno, why


def _place(node: ast.AST) -> str:
    """Returns the dotted name that a node refers to: a name, an attribute, or a literal
    `getattr`."""
    if isinstance(node, ast.Call) and _dotted(node.func) == "getattr" and len(node.args) > 1:
        named = node.args[1]
        name = str(named.value) if isinstance(named, ast.Constant) else ""
        return f"{_dotted(node.args[0])}.{name}"
    return _dotted(node)


def _reached(node: ast.Call) -> str:
    """Returns why an attribute named by a text is not allowed; "" where it is."""
    called = _dotted(node.func).rpartition(".")[2]
    if called not in _REACHING:
        return ""
    texts = node.args[1:2] if called in _REACHING_IN else node.args
    names = [str(part.value) for part in texts if isinstance(part, ast.Constant)]
    if not texts or len(names) < len(texts) or node.keywords:
        return f"{called} by a computed name is not allowed; write the attribute, `object.name`"
    hidden = [n for n in names if any(map(_dunder, n.split("."))) and n not in _DUNDERS]
    return f"{called} of {hidden[0]!r} is not allowed" if hidden else ""


def _other_module(place: str, bound: dict[str, str]) -> str:
    """Returns the module that is reached through an imported one and may not be imported itself, or
    ""."""
    first, _, rest = place.partition(".")
    if first not in bound:
        return ""
    root, *names = f"{bound[first]}.{rest}".rstrip(".").split(".")
    found: Any = sys.modules.get(root)
    for name in names:
        found = getattr(found, name, None)
        if not inspect.ismodule(found):
            return ""
    return "" if found is None or _allowed(found.__name__.lstrip("_")) else found.__name__


def _imported(tree: ast.Module) -> dict[str, str]:
    """Returns name -> module of the imports."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def _dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def chance(tree: ast.Module) -> Iterator[Finding]:
    """Yields random draws that the seed of the search does not decide."""
    modules = _bound(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "random":
            strange = [alias.name for alias in node.names if alias.name != "Random"]
            if strange:
                yield node.lineno, f"random.{strange[0]} draws from no seed of the search; {_KEYED}"
        if isinstance(node, ast.Call):
            first, _, rest = _dotted(node.func).partition(".")
            called = f"{modules.get(first, '')}.{rest}".rstrip(".")
            if _asks_a_clock(node):
                yield node.lineno, f"{rest or first} asks a clock; count in trials: view.trial"
            if called in _SEEDED:
                if not node.args and not node.keywords:
                    yield node.lineno, f"{called}() without a seed; {_KEYED}"
            elif called.startswith(("random.", "numpy.random.")):
                yield node.lineno, f"{called} draws from no seed of the search; {_KEYED}"


def _asks_a_clock(node: ast.Call) -> bool:
    given = [part.value for part in node.args[:1] if isinstance(part, ast.Constant)]
    return _dotted(node.func).endswith("datetime64") and given in (["now"], ["today"])


def _bound(tree: ast.Module) -> dict[str, str]:
    """Returns the names that imports give to random and numpy."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.asname: a.name for a in node.names if a.asname}
            found |= {a.name: a.name for a in node.names if a.name in {"random", "numpy"}}
        elif isinstance(node, ast.ImportFrom) and node.module in {"numpy", "numpy.random"}:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "random":
            found |= {a.asname or a.name: f"random.{a.name}" for a in node.names}
    return {name: module for name, module in found.items() if module.startswith(_CHANCY)}


def _dotted(node: Any) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def unsteady(tree: ast.Module) -> list[Finding]:
    """Returns the expressions whose value may differ between processes, by their usual forms."""
    modules, found = _bound(tree), set[Finding]()
    used = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in modules and id(node) not in used:
            found.add((node.lineno, f"{node.id} as a generator"))
        elif isinstance(node, ast.Call):
            name = _dotted(node.func).rpartition(".")[2]
            if name in {"id", "hash", "repr", "time", "time_ns", "urandom"}:
                found.add((node.lineno, f"{name}()"))
        elif isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter):
            found.add((node.iter.lineno, "the order of a set"))
    return sorted(found)


def _is_set(node: ast.expr) -> bool:
    made = isinstance(node, ast.Call) and _dotted(node.func) in {"set", "frozenset"}
    return made or isinstance(node, ast.Set | ast.SetComp)
