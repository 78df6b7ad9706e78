"""Refuses to continue a search whose surroundings changed: script, files, versions, evaluator.

Whatever decides outcomes without being a setting is noted in the journal when a search begins, and
compared before it continues. Searches from before such notes are not checked, nor is an execution
from the journal alone.
"""

from collections.abc import Iterator, Mapping
from itertools import zip_longest

from bilevel.errors import StudyMismatch, short
from bilevel.journal import Data, Journal, projection
from bilevel.tasks.base import Task

_SHOWN = 8  # changes that are told one by one


def keep(journal: Journal, task: Task, material: Data, search: str) -> None:
    """Notes the task's surroundings and material in the search's journal. Raises StudyMismatch that
    names what differs from the note, of this search or of the one whose answers are used."""
    if journal.sealed:
        if journal.holds("search", "world"):
            journal.once("search", "world", dict)
        journal.note("search", "material", material)
        return
    began = journal.peek("search", "material")
    world, known = dict(task.world()), journal.peek("search", "world")
    before = known or journal.recording.note("search", "world") or {}
    changes = [
        *_edited(projection(began or {}), material),
        *(_changed(before, world) if before else ()),
    ]
    if changes:
        raise StudyMismatch(_message(search, changes))
    if world and (known is not None or began is None):
        journal.note("search", "world", world)
    journal.note("search", "material", material)


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        if name not in now:
            yield f"{name}: is gone, was {before[name]}"
        elif name not in before:
            yield f"{name}: is new, {now[name]}"
        elif before[name] != now[name]:
            yield f"{name}: was {before[name]}, now {now[name]}"


def _edited(before: Mapping[str, str], now: Data) -> Iterator[str]:
    for name, text in before.items():
        if name in now and now[name] != text:
            yield f"{name.removesuffix('_text')}: {_first_difference(str(text), str(now[name]))}"


def _first_difference(before: str, now: str) -> str:
    """Returns the first line in which two texts differ, before and now."""
    pairs = enumerate(zip_longest(before.splitlines(), now.splitlines(), fillvalue=""), start=1)
    for number, (old, new) in pairs:
        if old != new:
            return f"line {number} was {short(old)}, now {short(new)}"
    return "its ends of lines are others"


def _message(search: str, changes: list[str]) -> str:
    more = [f"and {len(changes) - _SHOWN} more"] if len(changes) > _SHOWN else []
    return (
        f"what decides the outcomes of {search} has changed since it began "
        f"({'; '.join([*changes[:_SHOWN], *more])}): restore it and repeat the command, or begin "
        "another search (another study name, or fresh=true to start over)"
    )
