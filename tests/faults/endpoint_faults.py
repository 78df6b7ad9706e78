"""What a model's server may do instead of answering, and what the user reads about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.replies import good
from tests.faults.server import Act, answers, drips, hangs_up, leaves, refuses, resets, says

ATTEMPTS = 2
PATIENT_S, HASTY_S = 30.0, 1.0
TRIAL = 3  # the one whose question meets the fault
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
ERROR_HEAD = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 100000\r\n\r\n"
AGAIN = r"after 2 attempts; .*llm=scripted"
TOO_SLOW = r"took longer than 1 s after 2 attempts; raise llm\.timeout_s"
V1 = r"check llm\.base_url \(it usually ends in /v1\)"


@dataclass(frozen=True)
class Fault:
    """The server does `acts` in turn, then it is well again.

    `told` is a regular expression for the one line in which the search stops; where it is empty,
    the fault passes and `waited_s` bounds the pauses before the attempt that worked.
    """

    name: str
    acts: Sequence[Act]
    told: str = ""
    waited_s: tuple[float, float] = (0.0, 0.0)
    timeout_s: float = PATIENT_S

    @property
    def slow(self) -> bool:
        """Whether it takes real waiting."""
        return self.timeout_s < PATIENT_S


def html(status: int) -> Act:
    return answers(b"<html><h1>Welcome to nginx!</h1></html>", status, "text/html")


def completion(content: bytes) -> Act:
    return answers(content)


BUSY = refuses(429, "slow down")
PASSING = (
    Fault("429 with retry-after", [refuses(429, "slow down", retry_after="7")], "", (7, 7)),
    Fault("429 with a day of retry-after", [refuses(429, "x", retry_after="86400")], "", (60, 60)),
    Fault("429 without retry-after", [BUSY], "", (1, 1.5)),
    *(Fault(f"{code}", [refuses(code, "oops")], "", (1, 1.5)) for code in (500, 502, 503, 529)),
    Fault("502 as HTML", [html(502)], "", (1, 1.5)),
    Fault("a reset", [resets], "", (1, 1.5)),
    Fault("a connection that ends", [hangs_up], "", (1, 1.5)),
    Fault("silence", [drips(b"", b"")], "", (1, 1.5), HASTY_S),
    Fault("no choices", [completion(b'{"choices": []}')], "", (1, 1.5)),
    Fault("no schema", [refuses(400, "response_format json_schema is not supported")]),
    Fault("no seed", [refuses(400, "Unknown parameter: seed")]),
)
LASTING = (
    Fault("429 for ever", [BUSY] * ATTEMPTS, rf"answered 429: slow down {AGAIN}"),
    *(
        Fault(f"{code} for ever", [refuses(code, "oops")] * ATTEMPTS, rf"{code}: oops {AGAIN}")
        for code in (500, 502, 503)
    ),
    Fault("503 as HTML for ever", [html(503)] * ATTEMPTS, rf"503: .*{AGAIN}"),
    Fault("resets", [resets] * ATTEMPTS, rf"no connection to http.*{AGAIN}"),
    Fault("connections that end", [hangs_up] * ATTEMPTS, rf"no connection to http.*{AGAIN}"),
    Fault("silence", [drips(b"", b"")] * ATTEMPTS, TOO_SLOW, timeout_s=HASTY_S),
    Fault("silence in the body", [drips(HEAD, b"")] * ATTEMPTS, TOO_SLOW, timeout_s=HASTY_S),
    Fault("a dripping body", [drips(HEAD, b" ")] * ATTEMPTS, TOO_SLOW, timeout_s=HASTY_S),
    Fault(
        "a dripping header",
        [drips(HEAD[:-2] + b"x-a: ", b"a")] * ATTEMPTS,
        TOO_SLOW,
        timeout_s=HASTY_S,
    ),
    Fault("a dripping error", [drips(ERROR_HEAD, b" ")] * ATTEMPTS, TOO_SLOW, timeout_s=HASTY_S),
    Fault("HTML with 200", [html(200)], rf"HTML instead of a chat completion: .*nginx.*{V1}"),
    Fault("text with 200", [answers(b"ok")], rf"not JSON instead of a chat completion.*{V1}"),
    Fault("a list with 200", [answers(b"[]")], rf"other JSON instead of a chat completion.*{V1}"),
    Fault("no choices", [answers(b'{"choices": []}')] * ATTEMPTS, r"without any choices after 2"),
    Fault(
        "no such model",
        [refuses(404, "the model m does not exist")],
        r"404: the model m does not exist; check llm\.model=local and llm\.base_url",
    ),
    Fault(
        "too long a prompt",
        [refuses(400, "the request exceeds the available context size")] * 3,
        r"400: the request exceeds the available context size.*llm\.model=local",
    ),
    Fault("no credit", [refuses(402, "pay")], r"402: pay; .*top it up.*llm=scripted"),
    Fault("gone", [leaves], rf"no connection to http://[^ ]+/v1 \(ConnectError\) {AGAIN}"),
)


def well(trial: int) -> Act:
    return says(good(trial))
