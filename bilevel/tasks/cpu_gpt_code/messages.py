"""What a confined run may say, read with suspicion: every number and text is bounded and typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from bilevel.sandbox.failures import BadFrame
from bilevel.tasks.cpu_gpt.cost import FEATURES, seconds
from bilevel.tasks.cpu_gpt_code.verdict import RunRefused, cheated
from bilevel.trace import FailureKind

_SHOWN_CHARS = 4000
_REASON_CHARS = 1200
_MAX_NUMBER = 1e30
_SAID = {
    "missing": FailureKind.NO_METRIC,
    "diverged": FailureKind.DIVERGENCE,
    "problem": FailureKind.CRASH,
}
_FORBIDDEN = {
    "unlisted": "the operation {what} is not on the list of priced operations, so it may not be "
    "used: {instead}",
    "subclass": "a tensor of the class {what}: only torch's own tensors are priced; use plain "
    "tensors, and torch.autograd.Function for a gradient of your own",
    "unpriced": "an operation that cannot be priced as it was called ({what})",
    "seeded": "{what} drew from a random generator whose state was set: seeds are the trial's; "
    "leave generators as they are, or call torch.manual_seed(job.seed)",
    "beside": "{what} would compute or look beside the counter, which no script may; compute with "
    "torch operations in the one thread that there is",
}


def number(given: object) -> float:
    """Raises BadFrame for what is no number, or none of this world."""
    if (
        isinstance(given, bool)
        or not isinstance(given, int | float)
        or not 0 <= given < _MAX_NUMBER
    ):
        raise BadFrame(f"{str(given)[:40]!r} where a number was expected")
    return given


@dataclass(frozen=True)
class Account:
    """What a run says at its end: operations counted, steps of its meter, its last output."""

    counts: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(FEATURES, 0))
    steps: int = 0
    output: str = ""

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Self:
        """Raises BadFrame."""
        counts = message.get("counts")
        if not isinstance(counts, dict) or set(counts) != set(FEATURES):
            raise BadFrame("a run that ended without its counts")
        output = str(message.get("output", ""))[-_SHOWN_CHARS:]
        whole = {name: int(number(amount)) for name, amount in counts.items()}
        return cls(whole, int(number(message.get("steps"))), output)

    @property
    def modelled_s(self) -> float:
        return seconds(self.counts)


def understood(message: Mapping[str, Any], wanted: str) -> Any:
    """What was asked for. Raises RunRefused with what the run says instead, or BadFrame."""
    if wanted in message:
        return message[wanted]
    if "over" in message:
        raise over(number(message["over"]))
    if "memory" in message:
        raise RunRefused(FailureKind.OUT_OF_MEMORY, "the script wanted more than task.memory_mib")
    for said, why in _FORBIDDEN.items():
        if said in message:
            given = {"what": message[said], "instead": message.get("instead")}
            shown = {name: str(text)[:_REASON_CHARS] for name, text in given.items()}
            raise cheated(why.format(**shown))
    for said, kind in _SAID.items():
        if said in message:
            raise RunRefused(kind, str(message[said])[:_REASON_CHARS])
    raise BadFrame(f"{str(list(message))[:200]} instead of {wanted}")


def over(used_s: float) -> RunRefused:
    return RunRefused(
        FailureKind.TIMEOUT,
        f"over the budget: stopped after {used_s:.4g} modelled seconds; every operation of the "
        "script counts, before, in and after the loop over job.meter, which ends in time by itself",
    )
