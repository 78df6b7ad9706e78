"""Puts a mechanism that a search's model wrote into the library, with where it is from.

`python -m bilevel promote study=NAME arm=ARM seed=N mechanism=NAME [results=DIR] [to=DIR]
[conf=DIR]` executes the search again from its journal, takes the text of a mechanism that was
admitted (by level 2, or in a search of mechanisms), and writes `mechanisms/NAME.py`, whose
docstring tells what the search knows of it, and `conf/mechanisms/NAME.yaml`. It asks for a proof
on tasks that nobody searched: a transfer of this very text to a held-out half, whatever it came
to, which the docstring tells too. A promoted mechanism runs unconfined: somebody has to read it
first.
"""

import ast
import keyword
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bilevel import syntax
from bilevel.admission.lint import linted
from bilevel.config.command_line import command
from bilevel.config.options import line, options, words
from bilevel.discovery.members import HELD_OUT
from bilevel.discovery.provenance import provenance
from bilevel.discovery.transfer import FOLDER, kept_of
from bilevel.discovery.written import Written, digest_of, written
from bilevel.errors import BadInput
from bilevel.search.from_journal import journal_of

_USAGE = (
    "python -m bilevel promote study=NAME arm=ARM seed=N mechanism=NAME [results=DIR] "
    "[to=mechanisms] [conf=conf/mechanisms]"
)
_LIBRARY = (Path(__file__).parents[1] / "mechanisms").resolve()
_REQUIRED = ("study", "arm", "seed", "mechanism")
_DEFAULTS = {
    "results": "mlruns",
    "to": "mechanisms",
    "conf": "conf/mechanisms",
}
_MEASURED = {"suite": "landscapes", "inner": "level1", "llm": "scripted"}
"""How a transfer measures, unless the task of the search says otherwise."""
WIDTH = 100


@dataclass(frozen=True)
class _Promoted:
    """The two files that were written for a promoted mechanism."""

    source: Path
    config: Path


def _promoted(arguments: Sequence[str]) -> _Promoted:
    """Promotes the mechanism that the arguments name. Raises BadInput; then nothing is written."""
    given = {**_DEFAULTS, **options(arguments, (*_REQUIRED, *_DEFAULTS), _REQUIRED, _USAGE)}
    path = journal_of(Path(given["results"]), given["study"], given["arm"], given["seed"])
    name = given["mechanism"]
    found = written(path, name)
    to, conf = Path(given["to"]), Path(given["conf"])
    _check(name, to, conf)
    source = found.invention.source
    text = _with_docstring(source, [*provenance(found), *_proofs(found, given)])
    kind = linted(syntax.parse(source)).kind
    config = f"{name}:\n  _target_: {_module(to)}.{name}.{kind}\n"
    made = _Promoted(to / f"{name}.py", conf / f"{name}.yaml")
    _write({made.source: text, made.config: config})
    return made


def _proofs(found: Written, given: Mapping[str, str]) -> list[str]:
    """What every transfer of this text to a held-out half came to. Raises BadInput, with the
    command that makes one, where there is none."""
    results = Path(given["results"])
    proofs = kept_of(results, digest_of(found.invention.source), HELD_OUT)
    if proofs:
        return [proof.told() for proof in proofs]
    task = found.settings["task"]
    wanted = {
        **{key: given[key] for key in _REQUIRED},
        "seed": found.search.seed,
        **{key: task.get(key, usual) for key, usual in _MEASURED.items()},
        "results": given["results"],
    }
    left_out = ("llm", "none"), ("results", _DEFAULTS["results"])  # as a transfer has them anyway
    command = line("transfer", {k: v for k, v in wanted.items() if (k, v) not in left_out})
    raise BadInput(
        f"mechanism={found.invention.name}: {results / FOLDER} holds no transfer of this very text "
        f"to a {HELD_OUT} half; measure it first: {command}"
    )


def _check(name: str, to: Path, conf: Path) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise BadInput(f"mechanism={name} cannot be the name of a module; promote it by hand")
    for key, folder in (("to", to), ("conf", conf)):
        if not folder.is_dir():
            raise BadInput(f"{key}={folder} is no folder; give one that exists")
    for file in (to / f"{name}.py", conf / f"{name}.yaml"):
        if file.exists():
            raise BadInput(
                f"{file} exists and is never overwritten; move it away, or give "
                "other folders with to=... and conf=..."
            )


def _module(to: Path) -> str:
    """Returns the dotted name of the package of a folder, as seen from the working directory."""
    if to.resolve() == _LIBRARY:
        return "bilevel.mechanisms"
    parts = to.parts
    return ".".join(parts) if not to.is_absolute() and ".." not in parts else to.resolve().name


def _write(files: Mapping[Path, str]) -> None:
    """Writes all of the files, or none. Raises BadInput."""
    written: list[Path] = []
    try:
        for file, text in files.items():
            with file.open("x", encoding="utf-8") as target:
                written.append(file)
                target.write(text)
    except OSError as error:
        for file in written:
            file.unlink()
        raise BadInput(f"{file} cannot be written: {error.strerror}") from None


def _with_docstring(source: str, paragraphs: Sequence[str]) -> str:
    """Returns the source with these paragraphs as its docstring."""
    wrapped = [textwrap.fill(_plain(paragraph), WIDTH) for paragraph in paragraphs]
    wrapped[0] = textwrap.fill(_plain(paragraphs[0]), WIDTH, initial_indent=" " * 4).lstrip(" ")
    text = "\n\n".join(wrapped)
    raw = "r" if "\\" in text else ""
    return f'{raw}"""{text}\n"""\n\n{_without_docstring(source)}'


def _plain(text: str) -> str:
    """Returns the text as one line that is safe inside a docstring."""
    line = " ".join(text.replace('"""', "'''").split())
    return "".join(character if character.isprintable() else "?" for character in line)


def _without_docstring(source: str) -> str:
    lines, tree = source.split("\n"), syntax.parse(source)
    if ast.get_docstring(tree, clean=False) is not None:
        node = tree.body[0]
        last = node.end_lineno or node.lineno
        left = lines[last - 1].encode()[node.end_col_offset or 0 :].decode().lstrip(" ;")
        lines[node.lineno - 1 : last] = [left]
    return "\n".join(lines).strip("\n") + "\n"


def main(arguments: Sequence[str]) -> int:
    """Prints what was written and what to do next; returns the exit code a shell sees."""

    def body(arguments: Sequence[str]) -> None:
        made = _promoted(arguments)
        name = made.source.stem
        print(f"{made.source} and {made.config} are written")
        print(
            "next: read it (it will run unconfined), then "
            f"{words('python', '-m', 'bilevel', 'admit', str(made.source))}, "
            f"python -m pytest tests/mechanisms -k {name}, and a search with "
            f"mechanisms={name}: of arm=level1, it is named arm=level1-{name}"
        )

    return command(arguments, __doc__, _USAGE, body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
