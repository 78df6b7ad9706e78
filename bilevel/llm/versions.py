"""The versions of the prompts and of the stand-in under which a search asked its questions."""

from collections.abc import Mapping

from bilevel.errors import JournalError
from bilevel.journal import Journal
from bilevel.llm import prompts
from bilevel.llm.recorded import RecordedClient
from bilevel.llm.session import Client

_NOTE = ("search", "versions")
STAND_IN = "scripted"
UNVERSIONED = "of before versions"
_CHARS = 16  # of a digest


def today(client: Client) -> dict[str, str]:
    """Return the versions of the prompts and, if used, of the stand-in; a recorded stand-in has
    its recorded version."""
    found = {"prompts": prompts.version()}
    if client.endpoint.name == STAND_IN:
        found["stand_in"] = client.stand_in if isinstance(client, RecordedClient) else stand_in()
    return found


def stand_in() -> str:
    from bilevel.llm.scripted import scripted_digest

    return scripted_digest()[:_CHARS]


def kept(journal: Journal, now: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return the versions in the journal, noting `now` where a search begins; empty for a search
    that began before there were versions. Raises JournalError where a search would continue
    under other ones."""
    held: Mapping[str, str] | None = journal.peek(*_NOTE)
    if held is None and (now is None or journal.has("outcome")):
        return {}
    if held is not None and now is not None and {**held} != {**now}:
        raise JournalError(
            f"{journal.path} was begun under other versions than this one's ({_listed(held)}; now "
            f"{_listed(now)}): finish it with the version that began it, or start over with "
            "fresh=true"
        )
    found = dict(held or now or {})
    journal.note(*_NOTE, found)
    return found


def _listed(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {digest}" for name, digest in found.items())
