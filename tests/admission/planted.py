"""Mechanisms that come out otherwise each time, in every way that gets past the lint.

`python -m tests.admission.planted` prints what the gates say of each, for a process to be compared
with another one.
"""

import json
import sys

from bilevel.admission import admit
from bilevel.admission.shipped import loaded
from bilevel.sandbox.worker_handle import CONFINING, Limits, missing
from tests.admission.support import HEAD, mine

BOX = f"""import random
from numpy import datetime64, random as many
from scipy.optimize import _optimize; deep, again = _optimize, random
class Box: pass


{HEAD}"""
DECAY = "return [Proposal({'WEIGHT_DECAY': 0.01 * (1 + (%s) %% 20)}, %s)]"
NOW = "deep.sys.modules['time'].time_ns()"
FIRST = "def review(self, view, given): return sorted(given, key=lambda c: c.origin != 'mine')"
UNLUCKY = "if draw.random() < 0.3: raise ValueError('unlucky')"


def deciding(number: str, *before: str, why: str = "'planted'") -> str:
    """Proposes by this number, after these lines."""
    body = [*before, DECAY % (number, why)]
    return mine("def propose(self, view):", *(f"    {line}" for line in body), FIRST, head=BOX)


PLANTED = {
    "an address": deciding("id(view) >> 12"),
    "the time": deciding(NOW),
    "the second": deciding("datetime64('now').astype(int)"),
    "the hash of an object": deciding("hash(Box()) >> 12"),
    "the order of a set": deciding(
        "order", "boxes = [Box() for _ in '1' * 999]", "order = boxes.index([*set(boxes)][9])"
    ),
    "the text of an object": deciding("7", why="repr(Box())"),
    "the global generator": deciding("int(draw.random() * 20)", "draw = random"),
    "numpy's generator": deciding("int(draw.random() * 20)", "draw = many"),
    "seldom": deciding("7 if draw.random() < 0.97 else 3", "draw = random"),
    "an unseeded generator": deciding("make().randrange(20)", "make = random.Random"),
    "an exception by chance": deciding("7", "draw = random", UNLUCKY),
    "an exception's text": deciding("7", "raise ValueError(f'at {id(view)}')"),
    "an exception's time": deciding("7", f"raise KeyError({NOW} % 10**6)"),
    "an exception of an object": deciding("7", "raise KeyError(Box())"),
    "a question": deciding("7", "view.ask(str(id(view)), {'type': 'object'})"),
    "the time of its reading": mine("def propose(self, view): return []", head=BOX)
    + f"\nraise ValueError({NOW})\n",
    "the end of its process": deciding("7", "end = again._os", "end._exit(3)"),
    "the order of words": deciding("sum(map(ord, [*{'a', 'b', 'c'}][0]))"),
}
"""Words have one order in every worker of a search, and another in the second one of a gate."""


def main() -> None:
    confined = any(not missing(layer) for layer in CONFINING)
    limits, view = Limits("confined" if confined else "unsafe"), loaded("trap")
    said = {name: admit(source, view, limits).to_json() for name, source in PLANTED.items()}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
