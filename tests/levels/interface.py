"""Holds a description of an interface to the code: names, parameters, defaults, annotations."""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

FENCE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
PROPERTIES = {"property", "cached_property"}


@dataclass(frozen=True)
class Said:
    """What a text says of a name: `given` is a default, a constant, or the parameters of a call."""

    kind: str
    annotation: str = ""
    given: str = ""


def fences(text: str) -> list[str]:
    return FENCE.findall(text)


def declared(texts: Iterable[str]) -> dict[str, Said]:
    """The public names of Python texts in order, those in classes as `Class.name`."""
    return {
        name: said
        for text in texts
        for name, said in _declared(ast.parse(text).body, "")
        if not any(_private(part) for part in name.split("."))
    }


def problems(described: Mapping[str, Said], code: Mapping[str, Said]) -> list[str]:
    """Everything in a description that the code does not say the same of."""
    found = []
    for name, said in described.items():
        if name not in code:
            found.append(f"{name} is not in the code")
        elif said != code[name]:
            found.append(f"{name} is described as {said}, and is {code[name]}")
    for kind in _classes(described):
        told = [name for name in described if name.startswith(f"{kind}.") and name in code]
        fields = [n for n in told if described[n].kind == "value"]
        if fields != [name for name in code if name in fields]:
            found.append(f"{kind} has its fields in another order")
    return found


def missing(
    described: Mapping[str, Said], code: Mapping[str, Said], left_out: Collection[str]
) -> list[str]:
    """The names of the code that are neither described nor left out, themselves or their class."""
    return [
        name
        for name in code
        if not {name, name.partition(".")[0]} & {*left_out} and name not in described
    ]


def _classes(names: Mapping[str, Said]) -> list[str]:
    return [name for name, said in names.items() if said.kind == "class"]


def _private(name: str) -> bool:
    return (name.startswith("_") and not name.endswith("__")) or name == "__post_init__"


def _declared(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Said]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node.name, Said("class")
            yield from _declared(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield f"{prefix}{node.name}", _function(node)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            said = Said("value", _plain(node.annotation), _default(node.value))
            yield f"{prefix}{node.target.id}", said
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield f"{prefix}{node.targets[0].id}", Said("value", "", ast.unparse(node.value))


def _function(node: ast.FunctionDef) -> Said:
    decorators = {ast.unparse(one) for one in node.decorator_list}
    if decorators & PROPERTIES:
        return Said("value", _plain(node.returns))
    return Said("call", _plain(node.returns), ast.unparse(node.args))


def _plain(annotation: ast.expr | None) -> str:
    """An annotation, however it is quoted."""
    return "" if annotation is None else ast.unparse(annotation).strip("'\"")


def _default(value: ast.expr | None) -> str:
    """A default as it would be written for whoever calls."""
    if value is None:
        return ""
    made = re.fullmatch(r"field\(default_factory=(\w+)\)", ast.unparse(value))
    return ast.unparse(value) if made is None else {"dict": "{}"}.get(made[1], f"{made[1]}()")
