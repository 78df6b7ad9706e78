"""Whether two arms may be compared: what was measured, with whom, and how, has to be the same."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial

from bilevel.errors import short
from bilevel.llm.versions import STAND_IN, UNVERSIONED
from bilevel.report.numbers import SearchRow, no_repeats

_MOST_KEYS = 3  # settings of a task that a refusal names
_Rows = Sequence[SearchRow]
_Values = Sequence[str | int]


def refusal(arm: _Rows, control: _Rows) -> str:
    """Return why two arms cannot be compared, or the empty string. Only searches that ended
    count. What an older version did not track of a search is ignored."""
    done, other = [[row for row in rows if row.state != "unfinished"] for rows in (arm, control)]
    for rows, ended in ((arm, done), (control, other)):
        if not ended:
            return f"no search of {rows[0].arm} has ended"
    return (
        _difference("tasks", done, other, lambda row: row.task)
        or _difference("charged evaluations", done, other, lambda row: row.trials)
        or "; ".join(list(_settings_apart(done, other))[:_MOST_KEYS])
        or _difference("language models", done, other, _name)
        or _difference("language models", done, other, _model)
        or _difference("prompts (by version)", done, other, _prompts)
        or _difference("stand-ins (by version)", done, other, _stand_in)
        or _difference("noise told to the model", done, other, _noise_told)
        or next(filter(None, map(_mixed, (done, other))), "")
    )


def _difference(
    what: str, arm: _Rows, control: _Rows, of: Callable[[SearchRow], str | int | None]
) -> str:
    """Return in words what differs, or the empty string where both arms have one and the same
    value; None is ignored."""
    own, theirs = (
        sorted({value for row in rows if (value := of(row)) is not None}, key=_size)
        for rows in (arm, control)
    )
    if len({*own, *theirs}) < 2:
        return ""
    return f"different {what}: {_listed(own)} and {_listed(theirs)}"


def _settings_apart(arm: _Rows, control: _Rows) -> Iterator[str]:
    told = {row.task_settings for row in (*arm, *control)} - {""}
    if len(told) < 2:
        return
    for key in sorted({key for text in told for key in _settings(text)}):
        found = _difference(f"task.{key}", arm, control, partial(_setting, key))
        if found:
            yield found


def _setting(key: str, row: SearchRow) -> str | None:
    return short(_settings(row.task_settings).get(key)) if row.task_settings else None


@lru_cache(maxsize=64)
def _settings(text: str) -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads(text)
    return found


def _name(row: SearchRow) -> str | None:
    """Return the model's name; None if the search asked no model."""
    return row.llm if row.llm_calls else None


def _model(row: SearchRow) -> str | None:
    return f"{row.llm} {row.model}" if row.llm_calls and row.model else None


def _prompts(row: SearchRow) -> str | None:
    """Return the version of the prompts. Prompts from before there were versions differ from all
    others."""
    return (row.prompts or UNVERSIONED) if row.llm_calls else None


def _stand_in(row: SearchRow) -> str | None:
    asked = row.llm_calls and row.llm == STAND_IN
    return (row.stand_in_version or UNVERSIONED) if asked else None


def _noise_told(row: SearchRow) -> str | None:
    """Return what the prompts said of the noise: the first sentence."""
    told = row.noise_told.partition(". ")[0]
    return repr(told) if row.llm_calls and told else None


def _mixed(rows: _Rows) -> str:
    reason = no_repeats(rows)
    return f"seeds of {rows[0].arm} {reason}" if reason else ""


def _size(value: str | int) -> tuple[int, str]:
    """Return a sort key that orders numbers by size, also those given as text."""
    return len(str(value)), str(value)


def _listed(values: _Values) -> str:
    return ", ".join(map(str, values)) or "unknown"
