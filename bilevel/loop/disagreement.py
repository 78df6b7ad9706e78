"""Names the mechanism whose answers differ when re-execution does not reproduce a search."""

from typing import NoReturn

from bilevel.errors import JournalError
from bilevel.journal import Journal
from bilevel.loop.activations import ActivationLedger, Effect

_SHOWN_CHARS = 200


def blamed(
    error: JournalError, journal: Journal, ledger: ActivationLedger, level: float, trial: int
) -> NoReturn:
    """Raises JournalError that names the mechanism whose hook answered otherwise than recorded, or
    the given error if none did."""
    for number in (trial - 1, trial):
        recorded = journal.peek("hooks", f"L{level}/T{number}")
        calls = [] if recorded is None else recorded["calls"]
        for row, was in zip(ledger.of_trial(number), calls, strict=False):
            now = row.to_json()
            if any(now[name] != was[name] for name in ("mechanism", "hook")):
                break  # other attachments: who is there differs, not what they answer
            if (now["effect"], was["effect"]) == (Effect.NONE, Effect.DECISION):
                continue  # this round has not come to what it decided
            if any(now[name] != was[name] for name in ("effect", "did", "error")):
                raise JournalError(
                    f"{journal.path}: mechanism {row.mechanism} answers otherwise than it did: "
                    f"{row.hook} at trial {number}, recorded {_did(was)}, now {_did(now)}. Given "
                    "the same view it has to answer the same; it may go by a clock, a process or "
                    "a draw without a seed. A search with it does not come out again"
                ) from error
    raise error


def _did(call: dict[str, object]) -> str:
    told = call["error"] or call["did"] or "nothing"
    return repr(str(told)[:_SHOWN_CHARS])
