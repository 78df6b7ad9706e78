"""A model call as the plain data of a trace, in the words of MLflow's span format."""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

from bilevel.tracking.records import CallRecord


def spans(run_id: str, calls: Sequence[CallRecord], model: str) -> list[dict[str, Any]]:
    """One span, which is a whole trace, for each call.

    Ids follow from the run and the call's place, so that telling them twice stores them once.
    A call knows how long it took but not when: the last one ends now, the others before it.
    """
    starts_ns = []
    clock_ns = time.time_ns() - _ns(sum(call.seconds for call in calls))
    for call in calls:
        starts_ns.append(clock_ns)
        clock_ns += _ns(call.seconds)
    return [
        _span(run_id, place, call, model, start_ns)
        for place, (call, start_ns) in enumerate(zip(calls, starts_ns, strict=True))
    ]


def _span(run_id: str, place: int, call: CallRecord, model: str, start_ns: int) -> dict[str, Any]:
    digest = hashlib.sha256(f"{run_id}/{place}/{call.key}".encode()).digest()
    identifier = digest[:16]
    attributes = {
        "mlflow.traceRequestId": f"tr-{identifier.hex()}",
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
        "trace_id": base64.b64encode(identifier).decode(),
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
