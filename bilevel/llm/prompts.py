"""Prompts are files: rendered strictly, and identified by the digest of what was rendered."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Template

from bilevel.visible import visible

_FOLDER = Path(__file__).with_name("prompts")
_ROOT = Path(__file__).parents[2]
BESIDE = ("baselines/*.md",)  # prompts of other people's searches
RENDERING = (
    *("llm/prompts.py", "llm/tables.py", "proposer.py", "best_of.py", "behaviour.py"),
    *("levels/tuner.py", "levels/inventor.py", "tasks/outline.py"),
)


DATA = "data"  # the label of a fence around what others wrote; the system prompts explain it
NONE = "none"
WRITTEN = frozenset(
    [
        *("attached", "attempt", "avoid", "before", "bottleneck", "core_idea", "critique"),
        *("direction", "elites", "error", "evidence", "failed", "failure", "feasible", "first"),
        *("guidance", "history", "hypothesis", "idea", "ideas", "lessons", "notes"),
        *("problem", "remembered", "second", "settings", "specification", "trials"),
    ]
)
"""The placeholders for text that a mechanism, a script or a model wrote, or that may quote one."""


def render(name: str, **values: str) -> str:
    """The prompt file with its placeholders filled in; a `$` inside a value stays as it is, and a
    value that others wrote stands fenced (see `WRITTEN`).

    Raises ValueError when the names given are not exactly those the file asks for.
    """
    template = Template((_FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    expected = set(template.get_identifiers())
    if expected != set(values):
        missing, unknown = sorted(expected - set(values)), sorted(set(values) - expected)
        raise ValueError(f"prompt {name}.md: missing {missing}, unknown {unknown}")
    shown = {name: data(v) if name in WRITTEN and v != NONE else v for name, v in values.items()}
    return template.substitute(shown).strip() + "\n"


def render_of(name: str, values: Mapping[str, str]) -> str:
    """Like `render`, from more values than the file may ask for."""
    template = Template((_FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    return render(name, **{key: values[key] for key in template.get_identifiers()})


@lru_cache(maxsize=1)
def version() -> str:
    """Identifies how questions are put: the prompt files and the code that fills them in. Results
    under different versions are not compared."""
    files = [*_FOLDER.glob("*.md"), *(f for place in BESIDE for f in _ROOT.glob(place))]
    files += [_ROOT / "bilevel" / name for name in RENDERING]
    texts = (f"{file.name}\x00{file.read_text(encoding='utf-8')}" for file in sorted(files))
    return digest(*texts)


def digest(*texts: str) -> str:
    """Identifies a rendered prompt."""
    return hashlib.sha256("\x1f".join(texts).encode("utf-8", "replace")).hexdigest()[:16]


def fenced(text: str, language: str = "") -> str:
    """The text in a code fence longer than any run of backticks inside it."""
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def data(text: str) -> str:
    """What somebody else wrote: fenced, labelled, with no character that hides another one."""
    return fenced(visible(text.strip()), DATA)


def cell(text: str, most: int = 160) -> str:
    """The text as one cell of a table: one line, no bars, cut with a mark."""
    line = " ".join(text.replace("|", "/").split())
    return line if len(line) <= most else line[: most - 3] + "..."
