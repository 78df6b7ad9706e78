"""Imports point downward only, and a few packages are imported in one place."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORDS = (
    *("credit", "errors", "frozen", "invention", "mechanism", "parameters", "randomness"),
    *("space", "trace"),
    *("closable", "strict_json", "syntax", "view", "visible"),
)
"""What mechanisms may import, and what needs nothing else; they need each other."""

FLOORS = (
    WORDS,
    ("journal", "settings", "statistics"),
    ("workers",),
    ("llm", "sandbox"),
    ("proposers", "tasks"),
    ("loop",),
    ("admission", "config"),
    ("levels", "tracking"),
    ("report", "search"),
    ("commands",),
    ("__main__",),
)
"""From the ground up: who lives on one imports from below, and not from the room next door."""

FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
SOURCES = sorted((ROOT / "bilevel").rglob("*.py"))


def imports(file: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(file.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def part(module: str) -> str | None:
    pieces = module.split(".")
    return pieces[1] if pieces[0] == "bilevel" and len(pieces) > 1 else None


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_downward(file: Path) -> None:
    own = file.relative_to(ROOT / "bilevel").parts[0].removesuffix(".py")
    for module in imports(file):
        used = part(module)
        if used is None or used == own or file == ROOT / "bilevel" / "report" / "__main__.py":
            continue
        assert used in FLOOR, f"{own} imports {module}"
        words = used in WORDS and own in WORDS
        assert words or FLOOR[used] < FLOOR[own], f"{own} imports {module}"


def test_every_room_has_its_floor() -> None:
    found = {path.name.removesuffix(".py") for path in (ROOT / "bilevel").iterdir()}
    other = {"__init__", "__pycache__", "py.typed", "cluster.md", "conf", "mechanisms", "baselines"}
    assert found - other == set(FLOOR)


def users(package: str) -> set[str]:
    return {
        str(file.relative_to(ROOT / "bilevel"))
        for file in SOURCES
        if any(module.split(".")[0] == package for module in imports(file))
    }


def test_what_is_imported_in_one_place() -> None:
    assert len({path.split("/")[0] for path in users("mlflow")}) == 1
    assert users("openai") == {"llm/client.py"}
    assert users("ray") == {"workers/ray_executor.py"}
    assert users("optuna") == set()
    assert users("cmaes") == set()
    assert {path.split("/")[0] for path in users("torch")} == {"tasks"}


def test_python_is_parsed_in_one_place() -> None:
    """Whoever parses without the lock of `bilevel.syntax` may end a search of several workers."""
    parsing = {
        str(file.relative_to(ROOT))
        for folder in ("bilevel", "mechanisms", "baselines")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("ast.parse", "parse")
    }
    assert parsing == {"bilevel/syntax.py"}


def test_the_words_need_nothing_but_the_standard_library() -> None:
    import sys

    for name in WORDS:
        outside = {module.split(".")[0] for module in imports(ROOT / "bilevel" / f"{name}.py")}
        assert outside <= set(sys.stdlib_module_names) | {"bilevel"}


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_module_opens_with_why_it_exists(file: Path) -> None:
    text = file.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))
