"""Rebuilds a search from its journal alone: its settings, and an exact re-execution."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from bilevel.config.checks import ROLE, check
from bilevel.config.declared import is_free
from bilevel.config.former_names import current
from bilevel.config.overrides import composed
from bilevel.errors import BadInput, JournalError, Unrecorded
from bilevel.journal import JOURNAL, Data, Journal, read
from bilevel.search.execution import Execution
from bilevel.search.identity import completed, flat, identify
from bilevel.tracking import NullTracker, Tracker

Settings = dict[str, Any]
_COMMAND_TASK = "bilevel.tasks.CommandTask"
_ITS_OWN = ("task.", "llm.")


def journal_of(results: Path, study: str, arm: str, seed: str) -> Path:
    """Returns the path of a search's journal. Raises BadInput that names the searches there are."""
    studies = results / "searches"
    path = studies / study / f"{arm}-seed{seed}" / JOURNAL
    if path.exists():
        return path
    if not (studies / study).is_dir():
        known = ", ".join(sorted(folder.name for folder in studies.glob("*/"))) or "none yet"
        raise BadInput(f"there is no study {study} in {studies}; there are: {known}")
    known = ", ".join(sorted(p.parent.name for p in (studies / study).glob(f"*/{JOURNAL}")))
    raise BadInput(f"study={study} has no search {arm}-seed{seed}; it has: {known or 'none yet'}")


def settings_from_journal(journal: Path, conf: Path, overrides: Sequence[str] = ()) -> Settings:
    """Returns the settings a search was begun with, from the header of its journal; settings that
    are free to differ (where it runs, how it is tracked) come from the overrides and from conf.
    Raises BadInput for an override of any other setting."""
    entries = read(journal)
    deciding = _header(entries, journal)
    begun = _nested(deciding)
    arm, _, seed = journal.parent.name.rpartition("-seed")
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if not is_free(begun, key):
            raise BadInput(
                f"{override} would make it another search: a replay takes its settings from the "
                "journal; give it to a new search instead, in another study"
            )
    chosen = str(deciding.get("llm.name", "none"))
    settings = _today(conf, chosen, tuple(map(_added, overrides)))
    kept = {key: value for key, value in flat(settings) if is_free(begun, key)}
    made = _nested({**completed(deciding), **kept})
    if made["task"]["_target_"] == _COMMAND_TASK:
        made["task"] = {**_script_name(entries), **made["task"]}
    made.pop(ROLE, None)  # that of the defaults
    made.update(study=journal.parent.parent.name, arm=arm, seed=int(seed), fresh=False)
    check(made)
    return made


def replay_exactly(settings: Settings, path: Path, tracker: Tracker | None = None) -> Execution:
    """Executes a search again from its journal alone and returns the execution; `complete` is false
    for a search that had not ended.

    Raises JournalError, naming the first difference, where re-execution does not reproduce the
    journal.
    """
    journal = Journal.sealed_copy(path)
    recorded = Counter(entry["kind"] for entry in journal.entries)
    journal.once("search", "header", dict)
    execution = Execution(
        identify(settings), settings, path.parent, journal, tracker or NullTracker()
    )
    try:
        execution.to_the_end()
    except Unrecorded as left:
        if recorded["end"]:
            raise JournalError(
                f"{left}, and the search that ran had no need of it: the code changed since; "
                "replay it with the version that ran it"
            ) from None
    if not journal.in_order:
        raise JournalError(f"{path} holds entries that executing it again does not come to")
    return execution


def _header(entries: Sequence[Data], journal: Path) -> dict[str, Any]:
    """Returns the deciding settings in the header. Raises JournalError where the journal has
    none."""
    if not entries or (entries[0]["kind"], entries[0]["key"]) != ("search", "header"):
        raise JournalError(f"{journal} does not begin with a search's header")
    deciding: dict[str, Any] = current(entries[0]["data"]["deciding"])
    return deciding


def _script_name(entries: Sequence[Data]) -> dict[str, str]:
    """Returns `script_name` for journals that do not hold it: there it is only in an outcome's
    notes."""
    notes = [name for e in entries if e["kind"] == "outcome" for name in e["data"]["notes"]]
    named = next((name for name in notes if name.endswith(".diff")), "")
    return {"script_name": named.removesuffix(".diff")} if named else {}


def _added(override: str) -> str:
    """Returns the override as one that may add a key: the defaults that it is applied to are those
    of another task, possibly without this model."""
    return f"++{override.lstrip('+')}" if override.lstrip("+").startswith(_ITS_OWN) else override


@lru_cache(maxsize=64)
def _today(conf: Path, llm: str, overrides: tuple[str, ...]) -> Mapping[str, Any]:
    """Returns today's defaults, of which only the free settings are used; cached, because composing
    is slow and the searches of a study have these in common."""
    preset = llm if (conf / "llm" / f"{llm}.yaml").exists() else "none"
    return composed(conf, ["task=trap", f"llm={preset}", *overrides])


def _nested(settings: Mapping[str, Any]) -> Settings:
    made: Settings = {}
    for key, value in settings.items():
        node = made
        *groups, name = key.split(".")
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = value
    return made
