"""The questions that a confined model is asked, and what of its words may be passed on.

Whoever was shown validation tokens could spell them in an error. So a model is asked first about
random ones, where whatever it says of a failure is told; after that only the kind of one is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bilevel.sandbox.failures import BadFrame
from bilevel.tasks.cpu_gpt.evaluate import CHUNKS_AT_ONCE
from bilevel.tasks.cpu_gpt_code.confinement import ConfinedRun, Ended
from bilevel.tasks.cpu_gpt_code.messages import number, understood
from bilevel.tasks.cpu_gpt_code.verdict import RunRefused, cheated
from bilevel.trace import FailureKind

UNTOLD = (
    "the model answers about random tokens and fails at tokens of the validation text; what it "
    "said of that is not passed on, for it could spell them"
)


class ModelQuestions:
    """To one run, from its first to its last. `most_s_per_token` and `used_s` are modelled
    seconds, as the run counts them."""

    def __init__(self, run: ConfinedRun, vocab_size: int, time_len: int) -> None:
        """Asks about random tokens. Raises RunRefused, SandboxError with what the run says."""
        self._run = run
        self._vocab_size = vocab_size
        self.most_s_per_token = self.used_s = 0.0
        self._answered(
            np.random.default_rng(0).integers(0, vocab_size, size=(CHUNKS_AT_ONCE, time_len))
        )

    def ask(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits (rows, time, vocabulary) for tokens (rows, time). Raises RunRefused, and Ended
        with an exit code and no word; time limits as they are."""
        try:
            return self._answered(tokens)
        except Ended as error:
            raise Ended(error.code, UNTOLD) from None
        except RunRefused as error:
            raise RunRefused(error.kind, UNTOLD) from None
        except BadFrame:
            raise RunRefused(FailureKind.INVALID_PROPOSAL, UNTOLD) from None

    def _answered(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        shape = [*tokens.shape, self._vocab_size]
        size = math.prod(shape) * 4
        question = {"ask": list(tokens.shape)}
        message, raw = self._run.ask(question, tokens.astype("<i8").tobytes(), size)
        given = understood(message, "logits")
        if given != shape or len(raw) != size:
            reason = f"model(tokens {list(tokens.shape)}) gave {str(given)[:80]}, expected {shape}"
            raise RunRefused(FailureKind.CRASH, reason)
        spent_s = number(message.get("used_s"))
        if not spent_s > 0:
            raise cheated("the model predicts without one counted operation")
        self.most_s_per_token = max(self.most_s_per_token, spent_s / tokens.size)
        self.used_s += spent_s
        return np.frombuffer(bytearray(raw), dtype="<f4").reshape(shape)
