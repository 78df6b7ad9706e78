"""Puts the training seed into a script: into the calls that seed it, or where a name holds it."""

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from bilevel.errors import ConfigError
from bilevel.tasks import constants
from bilevel.tasks.constants import Spot

_WITHOUT = "(every trial then runs on the script's own seed)"


@dataclass(frozen=True)
class Seeding:
    """Where the training seed is written in a script. `calls` are functions, named as they are
    called or by their last part (`manual_seed` is `torch.manual_seed(42)` and
    `torch.cuda.manual_seed(42)`); `names` are names that hold the seed: `SEED = 1337`,
    `random_state=0` in a call, `seed: int = 1` in a class, `def run(seed=42)`, `{"seed": 42}`,
    `add_argument("--seed", default=1)`.

    What is replaced is a whole number written out, alone or in a sum: of `1337 + rank` the 1337.
    """

    calls: Sequence[str] = ()
    names: Sequence[str] = ()

    def check(self, parameters: Collection[str]) -> None:
        """Raises ConfigError for a name that is also a parameter."""
        both = [name for name in self.names if name in parameters]
        if both:
            raise ConfigError(
                f"task.seed_names: {both[0]} is a parameter too; a search changes it or seeds it, "
                "not both: take it out of task.parameters or out of task.seed_names"
            )

    def put(self, source: str, seed: int, *, script: str = "the script") -> str:
        """Return the source with this seed. Raises ConfigError for a call or a name that has no
        number."""
        if not (self.calls or self.names):
            return source  # which may be in any language
        tree = constants.parsed(source, script)
        nodes = [*_outside_of_fstrings(tree)]
        found = [_of_call(name, nodes, script) for name in self.calls]
        found += [_of_name(name, nodes, script) for name in self.names]
        spots = {(node.lineno, node.col_offset): node for each in found for node in each}
        return constants.replaced(source, [Spot(node, seed) for node in spots.values()])


def _outside_of_fstrings(node: ast.AST) -> Iterator[ast.AST]:
    """Yields every node but those within f-strings, whose positions Python 3.11 reports wrongly."""
    yield node
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from _outside_of_fstrings(child)


def _of_call(function: str, nodes: Sequence[ast.AST], script: str) -> list[ast.expr]:
    calls = [
        node
        for node in nodes
        if isinstance(node, ast.Call) and f".{ast.unparse(node.func)}".endswith(f".{function}")
    ]
    given = [[*call.args, *(keyword.value for keyword in call.keywords)] for call in calls]
    numbers = [[term for value in values for term in _whole_terms(value)] for values in given]
    found = [terms[0] for terms in numbers if len(terms) == 1]
    if found:
        return found
    raise ConfigError(
        f"task.seed_calls: {script} never calls {function} with one whole number written out, as "
        f"in {function}(42) or {function}(42 + rank){_variable_hint(given)}; name the functions "
        f"that seed it, or turn this off with task.seed_calls=[] {_WITHOUT}"
    )


def _variable_hint(given: Sequence[Sequence[ast.expr]]) -> str:
    """Return a hint that names the variables passed to the calls; empty if none are."""
    held = {value.id for values in given for value in values if isinstance(value, ast.Name)}
    names = ", ".join(sorted(held))
    return f" (it is given {names}: if that holds a number, task.seed_names=[{names}])" * bool(held)


def _of_name(name: str, nodes: Sequence[ast.AST], script: str) -> list[ast.expr]:
    found = [
        term
        for node in nodes
        for given, value in _bindings(node)
        if given == name and len(terms := _whole_terms(value)) == 1
        for term in terms
    ]
    if found:
        return found
    raise ConfigError(
        f"task.seed_names: {script} nowhere gives {name} a whole number that is written out, as in "
        f"{name} = 42 or run({name}=42); name what holds its seed, or turn this off with "
        f"task.seed_names=[] {_WITHOUT}"
    )


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yields every (name, value) of an assignment, an argument, a default, an option or a key."""
    if isinstance(node, ast.Assign):
        yield from ((_name(target), node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield _name(node.target), _default(node.value) or node.value
    elif isinstance(node, ast.Call) and (default := _default(node)) is not None:
        yield from ((option, default) for option in _options(node))
    elif isinstance(node, ast.keyword) and node.arg is not None:
        yield node.arg, node.value
    elif isinstance(node, ast.arguments):
        positional = [*node.posonlyargs, *node.args]
        last = positional[len(positional) - len(node.defaults) :]
        yield from ((one.arg, value) for one, value in zip(last, node.defaults, strict=True))
        pairs = zip(node.kwonlyargs, node.kw_defaults, strict=True)
        yield from ((one.arg, value) for one, value in pairs if value is not None)
    elif isinstance(node, ast.Dict):
        keys = zip(node.keys, node.values, strict=True)
        yield from ((str(k.value), v) for k, v in keys if isinstance(k, ast.Constant))


def _name(target: ast.expr) -> str:
    """Return the last name of a target: `seed` of `seed`, `cfg.seed` and `cfg["seed"]`."""
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return ""


def _default(node: ast.expr) -> ast.expr | None:
    """Return a call's `default`: 42 of `field(default=42)` and of `add_argument("--seed",
    default=42)`."""
    keywords = node.keywords if isinstance(node, ast.Call) else []
    return next((keyword.value for keyword in keywords if keyword.arg == "default"), None)


def _options(call: ast.Call) -> Iterator[str]:
    """Yields the names of a parser's options: `s` and `seed` of `add_argument("-s", "--seed")`."""
    for given in call.args:
        if isinstance(given, ast.Constant) and str(given.value).startswith("-"):
            yield str(given.value).lstrip("-").replace("-", "_")


def _whole_terms(node: ast.expr) -> list[ast.expr]:
    """Return the literal whole numbers that a node is or adds up."""
    if constants.is_whole(node):
        return [node]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_whole_terms(node.left), *_whole_terms(node.right)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return _whole_terms(node.left)
    return []
