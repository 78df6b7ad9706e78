"""What a model's server may do instead of answering, and what the user reads about it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.faults.replies import good
from tests.faults.server import (
    Act,
    answers,
    drips,
    drops,
    hangs_up,
    leaves,
    refuses,
    resets,
    says,
)
from tests.llm.support import body

ATTEMPTS = 2
PATIENT_S, HASTY_S = 30.0, 1.0
TRIAL = 3  # the one whose question meets the fault
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
ERROR_HEAD = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 100000\r\n\r\n"
AGAIN = r"after 2 attempts; .*llm=scripted"
TOO_SLOW = r"took longer than 1 s after 2 attempts; raise llm\.timeout_s"
BEFORE = r"after 2 attempts; it has answered before: look at http.*llm=scripted"


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


# What proxies and routers say in a model's place, as nginx, Cloudflare, Kubernetes' ingress,
# LiteLLM and OpenRouter write it.
NGINX = (
    b"<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n"
    b"<hr><center>nginx/1.25.3</center>\r\n</body>\r\n</html>\r\n"
)
CLOUDFLARE = (
    b'<!DOCTYPE html>\n<html lang="en-US"><head><title>Just a moment...</title></head><body>'
    b'<div id="cf-wrapper">Ray ID: 8c1f</div></body></html>'
)
WHOLE = json.dumps(body(good(TRIAL))).encode()
LITELLM = (
    b'{"error": {"message": "litellm.InternalServerError: upstream connect error", "type": null, '
    b'"param": null, "code": "500"}}'
)
OPENROUTER = (
    b'{"error": {"message": "Provider returned error", "code": 502, "metadata": {"provider_name": '
    b'"Together"}}, "user_id": "user_1"}'
)
OPENROUTER_MID = (
    b'{"id": "gen-1", "choices": [{"index": 0, "finish_reason": "error", "message": {"role": '
    b'"assistant", "content": "{\\"hypo"}, "error": {"code": 429, "message": "Rate limited"}}]}'
)
GATEWAYS = (
    Fault("a page of nginx", [answers(NGINX % (b"Welcome", b"Welcome"), 200, "text/html")]),
    Fault("a page of Cloudflare", [answers(CLOUDFLARE, 200, "text/html; charset=UTF-8")]),
    Fault("a challenge of Cloudflare", [answers(CLOUDFLARE, 403, "text/html; charset=UTF-8")]),
    Fault("502 of nginx", [answers(NGINX % (b"502", b"502 Bad Gateway"), 502, "text/html")]),
    Fault("520 of Cloudflare", [answers(b"error code: 520", 520, "text/plain")]),
    Fault("404 of an ingress", [answers(b"default backend - 404", 404, "text/plain")]),
    Fault("400 of a load balancer", [answers(NGINX % (b"400", b"400"), 400, "text/html")]),
    Fault("413 of nginx", [answers(NGINX % (b"413", b"413"), 413, "text/html")]),
    Fault("an empty body", [answers(b"")]),
    Fault("an empty line", [answers(b"\n", 200, "text/plain")]),
    Fault("half a body", [drops(WHOLE[: len(WHOLE) // 2], len(WHOLE))]),
    Fault("half a body in chunks", [drops(WHOLE[: len(WHOLE) // 2])]),
    Fault("truncated JSON", [answers(WHOLE[:-20])]),
    Fault("bytes that are no text", [answers(b"\xff\xfe" + WHOLE)]),
    Fault("gzip that is none", [answers(WHOLE, content_encoding="gzip")]),
    Fault("an event stream", [answers(b"data: [DONE]\n\n", 200, "text/event-stream")]),
    Fault("a health check", [answers(b'{"status": "ok"}')]),
    Fault("a detail", [answers(b'{"detail": "Service warming up"}')]),
    Fault("null", [answers(b"null")]),
    Fault("a choice that says nothing", [answers(b'{"choices": [{"finish_reason": "stop"}]}')]),
    Fault("LiteLLM's error inside", [answers(LITELLM)]),
    Fault("OpenRouter's error inside", [answers(OPENROUTER)]),
    Fault("OpenRouter's error in the middle", [answers(OPENROUTER_MID)]),
)
MOMENTS = tuple(replace(fault, waited_s=(1, 1.5)) for fault in GATEWAYS)

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
    *MOMENTS,
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
    Fault("HTML with 200", [html(200)] * ATTEMPTS, rf"HTML instead of .*nginx.*{BEFORE}"),
    Fault("text with 200", [answers(b"ok")] * ATTEMPTS, rf"not JSON instead of .*{BEFORE}"),
    Fault("a list with 200", [answers(b"[]")] * ATTEMPTS, rf"other JSON instead of .*{BEFORE}"),
    Fault("nothing with 200", [answers(b"")] * ATTEMPTS, rf"an empty body instead of .*{BEFORE}"),
    Fault("half with 200", [answers(b"{")] * ATTEMPTS, rf"broken JSON instead of .*{BEFORE}"),
    Fault("404 as HTML", [html(404)] * ATTEMPTS, rf"answered 404: .*nginx.*{BEFORE}"),
    Fault("errors inside", [answers(LITELLM)] * ATTEMPTS, rf"500: litellm.*{AGAIN}"),
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
