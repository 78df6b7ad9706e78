"""Calls a hook of a mechanism: catches its error, journals a stop, and adds a row to the ledger."""

import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from bilevel.errors import BudgetExhausted, EndpointError, JournalError
from bilevel.journal import Journal
from bilevel.loop.activations import ActivationLedger, Effect, HookCall
from bilevel.loop.hook_answers import NO_EFFECT, Account
from bilevel.loop.interrupted import InterruptedQuestions, ask_again
from bilevel.mechanism import Mechanism
from bilevel.sandbox.failures import STOPS, SandboxUnavailable
from bilevel.view import View

T = TypeVar("T")
STOPPED = "stopped"  # what the journal calls a hook that ran out of time or memory


class HookCalls:
    """Calls the hooks of one loop's mechanisms."""

    def __init__(
        self,
        ledger: ActivationLedger,
        journal: Journal,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._clock = clock
        self._made: Counter[str] = Counter()

    def call(
        self,
        mechanism: Mechanism,
        hook: str,
        view: View,
        call: Callable[[View], T],
        judge: Callable[[T], Account],
        *,
        trial: int | None = None,
    ) -> T | None:
        """Returns the hook's answer, or None where it failed; both add a row to the ledger."""
        started = self._clock()
        answer: T | None = None
        error = ""
        effect, did, without = NO_EFFECT
        at = view.trial if trial is None else trial
        try:
            asked = view.for_(f"{mechanism.name}/{hook}")
            answer = self._once(mechanism, f"L{view.level}/T{at}/{asked.purpose}", asked, call)
            effect, did, without = judge(answer)
        except (BudgetExhausted, EndpointError, JournalError, SandboxUnavailable):
            raise  # these end the search, whoever was asking
        except Exception as failure:  # generated or not, a mechanism may fail in any way
            error = f"{type(failure).__name__}: {failure}"
        if error:
            answer, effect = None, Effect.ERROR
        seconds = self._clock() - started
        self._ledger.add(HookCall(at, mechanism.name, hook, effect, did, without, error, seconds))
        return answer

    def _once(self, mechanism: Mechanism, name: str, view: View, call: Callable[[View], T]) -> T:
        """Calls the hook, and journals a stop at a time or memory limit. Re-execution calls hooks
        again and compares, but a journalled stop is raised again: with more time or memory it could
        come out otherwise."""
        key = f"{name}/{self._made[name]}"
        self._made[name] += 1
        stopped = self._journal.peek(STOPPED, key)
        if stopped is not None:
            ask_again(view, stopped["asked"])
            self._journal.once(STOPPED, key, dict)
            mechanism.close()
            raise STOPS[stopped["kind"]](stopped["message"])
        questions = InterruptedQuestions(view)
        try:
            return call(questions.view)
        except tuple(STOPS.values()) as stop:
            if self._journal.repeating:
                raise JournalError(
                    f"mechanism {mechanism.name} had an answer at {name} and now: {stop}; give it "
                    "more (sandbox.call_s, sandbox.memory_mib), or a quieter machine, and run the "
                    "same command again"
                ) from stop
            told = {"kind": type(stop).__name__, "message": str(stop), "asked": questions.asked}
            self._journal.once(STOPPED, key, lambda: told)
            raise
