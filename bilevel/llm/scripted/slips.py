"""The few malformed first replies by which the stand-in exercises the repair round."""

import json
from random import Random
from typing import Any

RATE = 0.025


def slipped(reply: dict[str, Any], rng: Random) -> str:
    """The reply spoilt in one of the ways in which real models spoil theirs."""
    text = json.dumps(reply)
    ways = [
        "I think that we should look at the learning rates next, since they interact.",
        text[: len(text) // 2],
        text.replace('"', "'"),
    ]
    changes = reply.get("changes")
    if changes:
        first = changes[0]
        ways += [
            json.dumps({**reply, "changes": [{**first, "parameter": "NUM_HEADS"}]}),
            json.dumps({**reply, "changes": [{**first, "value": 1e30}]}),
            json.dumps({**reply, "changes": [{**first, "value": "2**12"}]}),
        ]
    return rng.choice(ways)
