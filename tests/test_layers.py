"""Imports point downward only, and a few packages are imported in one place."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORDS = (
    *("credit", "errors", "frozen", "invention", "mechanism", "parameters", "randomness"),
    *("space", "toolkit", "trace"),
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
    ("discovery",),
    ("blade",),
    ("commands",),
    ("__main__",),
)
"""From the ground up: who lives on one imports from below, and not from the room next door."""

FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
FORMERLY = ROOT / "bilevel" / "report" / "__main__.py"
"""A command of before, kept: it calls the one that took its place."""

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
        if used is None or used == own or file == FORMERLY:
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


def rooms() -> list[Path]:
    """Every package but the root, whose modules are all public."""
    return sorted(file.parent for file in (ROOT / "bilevel").glob("*/**/__init__.py"))


def declared(room: Path) -> set[str]:
    """The modules and names that a package's `__init__` exports."""
    stub = room / "__init__.pyi"
    tree = ast.parse((stub if stub.exists() else room / "__init__.py").read_text())
    return {
        name
        for node in tree.body
        for name in (
            [alias.asname or alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom)
            else [node.name]
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            else [ast.unparse(target) for target in node.targets]
            if isinstance(node, ast.Assign)
            else []
        )
    }


@pytest.mark.parametrize("room", rooms(), ids=lambda r: str(r.relative_to(ROOT)))
def test_other_rooms_use_what_a_room_exports(room: Path) -> None:
    public, name = declared(room), ".".join(room.relative_to(ROOT).parts)
    modules = {file.stem for file in room.glob("*.py")}
    for file in SOURCES:
        if room in file.parents or file == FORMERLY:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            if node.module.startswith(f"{name}."):
                module = node.module.removeprefix(f"{name}.").split(".")[0]
                taken = {alias.name for alias in node.names}
                assert module not in modules or module in public or taken <= public, (
                    f"{file.relative_to(ROOT)} imports {node.module}, which {name} does not export"
                )
            elif node.module == name:
                assert {alias.name for alias in node.names} <= public, file


def top_level_names(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


NAMED_FROM_OUTSIDE = {"main", "serve", "job", "logger"}
"""Started as programs, or the name that everybody gives it; type variables have one letter."""

HASHED = {"train.py", "corpus.py", "meter.py"}
"""Of `cpu_gpt`, whose files are as they were when the first value was measured."""


def test_a_name_that_no_other_module_uses_starts_with_an_underscore() -> None:
    texts = {
        file: file.read_text()
        for folder in ("bilevel", "mechanisms", "baselines", "tests", "conf")
        for file in (ROOT / folder).rglob("*.*")
        if file.suffix in (".py", ".pyi", ".yaml", ".html")
    }
    words = {file: set(re.findall(r"\w+", text)) for file, text in texts.items()}
    used: Counter[str] = Counter(word for found in words.values() for word in found)
    for file in SOURCES:
        if file.parent.name == "cpu_gpt" and file.name in HASHED:
            continue
        for name in top_level_names(ast.parse(texts[file])):
            private = name.startswith("_") or name in NAMED_FROM_OUTSIDE or len(name) == 1
            assert private or used[name] > 1, f"{file.relative_to(ROOT)}: {name}"
