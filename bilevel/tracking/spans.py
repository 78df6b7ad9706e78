"""A model call as the plain data of a trace, in the words of MLflow's span format."""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

from bilevel.tracking.records import CallRecord


def spans(name: str, calls: Sequence[CallRecord], model: str) -> list[dict[str, Any]]:
    """Return one span, which is a whole trace, for each call.

    Ids follow from `name`, which stays the same when a trial is written anew under another run, and
    from the call's position: what an interrupted write left is found and overwritten. Calls have
    durations but no times: the last is dated to end now, the others before it.
    """
    starts_ns = []
    clock_ns = time.time_ns() - _ns(sum(call.seconds for call in calls))
    for call in calls:
        starts_ns.append(clock_ns)
        clock_ns += _ns(call.seconds)
    return [
        _span(_digest(name, place, call), call, model, start_ns)
        for place, (call, start_ns) in enumerate(zip(calls, starts_ns, strict=True))
    ]


def trace_ids(name: str, calls: Sequence[CallRecord]) -> list[str]:
    """Return the ids of the traces that `spans` makes."""
    return [_trace_id(_digest(name, place, call)) for place, call in enumerate(calls)]


def _digest(name: str, place: int, call: CallRecord) -> bytes:
    return hashlib.sha256(f"{name}/{place}/{call.key}".encode()).digest()


def _trace_id(digest: bytes) -> str:
    return f"tr-{digest[:16].hex()}"


def _span(digest: bytes, call: CallRecord, model: str, start_ns: int) -> dict[str, Any]:
    attributes = {
        "mlflow.traceRequestId": _trace_id(digest),
        "mlflow.traceTag.mlflow.traceName": call.purpose,
        "mlflow.traceTag.call": call.key,
        "mlflow.spanType": "CHAT_MODEL",
        "mlflow.spanInputs": {"messages": [dict(message) for message in call.messages]},
        "mlflow.spanOutputs": {
            "choices": [{"message": {"role": "assistant", "content": call.text}}]
        },
        "mlflow.chat.tokenUsage": {
            "input_tokens": call.prompt_tokens,
            "output_tokens": call.completion_tokens,
            "total_tokens": call.prompt_tokens + call.completion_tokens,
        },
        "mlflow.llm.model": model,
    }
    if call.usd:
        attributes["mlflow.llm.cost"] = {"total_cost": call.usd}
    code = "STATUS_CODE_ERROR" if call.problem else "STATUS_CODE_OK"
    return {
        "trace_id": base64.b64encode(digest[:16]).decode(),
        "span_id": base64.b64encode(digest[16:24]).decode(),
        "parent_span_id": "",
        "name": call.purpose,
        "start_time_unix_nano": start_ns,
        "end_time_unix_nano": start_ns + _ns(call.seconds),
        "events": [],
        "status": {"code": code, "message": call.problem},
        "attributes": {name: json.dumps(value) for name, value in attributes.items()},
    }


def _ns(seconds: float) -> int:
    return max(0, int(seconds * 1e9))
