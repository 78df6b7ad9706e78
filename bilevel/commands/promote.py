"""Puts a mechanism that a search's model wrote into the library, with where it is from.

`python -m bilevel promote study=NAME arm=ARM seed=N mechanism=NAME [results=DIR] [to=DIR]
[conf=DIR]` executes the search again from its journal, takes the text of a mechanism that was
admitted, and writes `mechanisms/NAME.py`, whose docstring tells what the search knows of it, and
`conf/mechanisms/NAME.yaml`. A promoted mechanism runs unconfined: somebody has to read it first.
"""

import ast
import keyword
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel import syntax
from bilevel.admission.lint import linted
from bilevel.config.command_line import command
from bilevel.config.files import CONF
from bilevel.config.options import options, words
from bilevel.errors import BadInput
from bilevel.invention import Invention
from bilevel.journal import read
from bilevel.llm import prompts
from bilevel.search.from_journal import journal_of, replay_exactly, settings_from_journal
from bilevel.tracking import MechanismRecord, NullTracker, SearchInfo, TrialRecord

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
WIDTH = 100
_STAND_IN = (
    "The model was the scripted stand-in: the text is one of its templates, and no evidence of "
    "what a language model would write."
)


class _Witness(NullTracker):
    """A tracker that keeps what an execution records of its mechanisms."""

    def __init__(self) -> None:
        self.search: SearchInfo | None = None
        self.sessions: dict[str, TrialRecord] = {}
        self.records: dict[str, MechanismRecord] = {}

    def start(self, info: SearchInfo) -> None:
        self.search = info

    def trial(self, record: TrialRecord) -> None:
        if record.trial.proposal.mechanism:
            self.sessions[record.trial.proposal.mechanism.name] = record

    def mechanisms(self, records: Sequence[MechanismRecord]) -> None:
        self.records = {record.name: record for record in records}


@dataclass(frozen=True)
class _Promoted:
    """The two files that were written for a promoted mechanism."""

    source: Path
    config: Path


def _promoted(arguments: Sequence[str]) -> _Promoted:
    """Promotes the mechanism that the arguments name. Raises BadInput; then nothing is written."""
    given = {**_DEFAULTS, **options(arguments, (*_REQUIRED, *_DEFAULTS), _REQUIRED, _USAGE)}
    path = journal_of(Path(given["results"]), given["study"], given["arm"], given["seed"])
    witness, name = _Witness(), given["mechanism"]
    complete = replay_exactly(settings_from_journal(path, CONF), path, witness).complete
    session = _chosen(witness, name)
    to, conf = Path(given["to"]), Path(given["conf"])
    _check(name, to, conf)
    model = next(entry["data"] for entry in read(path) if entry["key"] == "model")
    said = _account(witness, session, model, complete)
    source = _invention(session).source
    text = _with_docstring(source, [*_described(session), *said])
    kind = linted(syntax.parse(source)).kind
    config = f"{name}:\n  _target_: {_module(to)}.{name}.{kind}\n"
    made = _Promoted(to / f"{name}.py", conf / f"{name}.yaml")
    _write({made.source: text, made.config: config})
    return made


def _chosen(witness: _Witness, name: str) -> TrialRecord:
    """Returns the session that invented the mechanism. Raises BadInput that names those that can be
    promoted."""
    made = {name: _invention(session) for name, session in witness.sessions.items()}
    admitted = ", ".join(n for n, m in made.items() if m.admitted) or "none"
    if name not in made:
        raise BadInput(f"mechanism={name}: this search invented and admitted: {admitted}")
    if not made[name].admitted:
        problem = made[name].problem
        raise BadInput(f"mechanism={name} was not admitted ({problem}); admitted: {admitted}")
    return witness.sessions[name]


def _invention(session: TrialRecord) -> Invention:
    made = session.trial.proposal.mechanism
    assert made is not None  # a witness keeps no other sessions
    return made


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


def _described(session: TrialRecord) -> list[str]:
    """Returns the text's own docstring, or else the specification of its behaviour."""
    made = _invention(session)
    own = ast.get_docstring(syntax.parse(made.source))
    return own.split("\n\n") if own else [f"{made.name}: {made.behaviour}"]


def _account(
    witness: _Witness, session: TrialRecord, model: Mapping[str, Any], complete: bool
) -> list[str]:
    """Returns what the search recorded of the mechanism, one paragraph each."""
    assert witness.search is not None  # told before the first trial
    search, trial = witness.search, session.trial
    made, first = _invention(session), int(trial.outcome.metrics["first_trial"])
    suggested = "suggested" if made.domain_in_prompt else "did not suggest"
    unfinished = "" if complete else " The search had not ended."
    paragraphs = [
        f"Written by {model['model']} ({model['name']}) in study={search.study} "
        f"arm={search.arm} seed={search.seed} on task {search.task}, in session {trial.number} of "
        f"level {session.level:g}, after trial {first - 1}.{unfinished}",
        _STAND_IN if search.stand_in else "",
        f"Domain: {made.domain} (the prompt {suggested} it). Carrier: {made.carrier}. Texts "
        f"until one was admitted: {len(made.attempts)}.",
        f"Bottleneck, as the model saw it: {made.bottleneck}",
        f"Behaviour, as specified: {made.behaviour}",
        f"Prompts, by digest: {_prompts(session)}.",
        _activity(witness.records.get(made.name)),
        f"Judgement of {trial.outcome.notes.get('judgement', '').strip()}; {trial.decision} "
        "(one segment of one search: no evidence).",
    ]
    judged = "judgement" in trial.outcome.notes
    return [paragraph for paragraph in paragraphs[: None if judged else -1] if paragraph]


def _prompts(session: TrialRecord) -> str:
    asked = [call for call in session.calls if not call.key.endswith("/repair")]
    digests = [prompts.digest(*(m["content"] for m in call.messages)) for call in asked]
    names = [call.purpose.rpartition("/")[2] for call in asked]
    return ", ".join(f"{name} {digest}" for name, digest in zip(names, digests, strict=True))


def _activity(record: MechanismRecord | None) -> str:
    if record is None:
        return "It was not attached in that search."
    counts = ", ".join(f"{label} {count}" for label, count in record.counts.items()) or "none"
    return f"As long as it was attached it was {record.state}; hook calls by effect: {counts}."


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
