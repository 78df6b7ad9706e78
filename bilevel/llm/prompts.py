"""Prompts are files: rendered strictly, and identified by the digest of what was rendered."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Template

from bilevel.visible import visible

_FOLDER = Path(__file__).with_name("prompts")
_PACKAGE = Path(__file__).parents[1]
BESIDE = ("baselines/*.md",)  # prompts of other people's searches
_RENDERING = (
    *("llm/prompts.py", "llm/tables.py", "loop/behaviour.py"),
    *("proposers/llm.py", "proposers/best_of.py"),
    *(
        f"levels/{name}.py"
        for name in (
            *("account", "asking_freely", "context", "diagnosing", "framing", "inventor", "tuner"),
            "writing",
        )
    ),
    *(f"discovery/{name}.py" for name in ("accounts", "archive", "discoverer")),
    "tasks/outline.py",
)


DATA = "data"  # the label of a fence around what others wrote; the system prompts explain it
NONE = "none"
WRITTEN = frozenset(
    [
        *("attached", "attempt", "avoid", "before", "bottleneck", "core_idea", "critique"),
        *("direction", "elites", "error", "evidence", "failed", "failure", "feasible", "first"),
        *("guidance", "history", "hypothesis", "idea", "ideas", "incumbent", "lessons", "notes"),
        *("problem", "remembered", "second", "settings", "specification", "trials", "tried"),
    ]
)
"""The placeholders for text that a mechanism, a script or a model wrote, or that may quote one."""


class Prompt:
    """One file with placeholders. A `$` inside a value stays as it is, and a value that others
    wrote stands fenced (see `WRITTEN`)."""

    def __init__(self, file: Path) -> None:
        self._name = file.name
        self._template = Template(file.read_text(encoding="utf-8"))

    @property
    def asks_for(self) -> frozenset[str]:
        """The names of its placeholders."""
        return frozenset(self._template.get_identifiers())

    def render(self, **values: str) -> str:
        """Raises ValueError when the names given are not exactly those the file asks for."""
        if self.asks_for != set(values):
            missing = sorted(self.asks_for - set(values))
            unknown = sorted(set(values) - self.asks_for)
            raise ValueError(f"prompt {self._name}: missing {missing}, unknown {unknown}")
        shown = {n: data(v) if n in WRITTEN and v != NONE else v for n, v in values.items()}
        return self._template.substitute(shown).strip() + "\n"

    def fill(self, values: Mapping[str, str] | None = None, **more: str) -> str:
        """Like `render`, from more values than the file may ask for."""
        known = {**(values or {}), **more}
        return self.render(**{name: known[name] for name in self.asks_for})


def render(name: str, **values: str) -> str:
    """One of the platform's own prompts. Raises ValueError."""
    return Prompt(_FOLDER / f"{name}.md").render(**values)


def render_of(name: str, values: Mapping[str, str]) -> str:
    """Like `render`, from more values than the file may ask for."""
    return Prompt(_FOLDER / f"{name}.md").fill(values)


@lru_cache(maxsize=1)
def version() -> str:
    """Identifies how questions are put: the prompt files and the code that fills them in. Results
    under different versions are not compared."""
    files = [*_FOLDER.rglob("*.md"), *(f for place in BESIDE for f in _PACKAGE.glob(place))]
    files += [_PACKAGE / name for name in _RENDERING]
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
