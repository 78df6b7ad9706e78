"""A mechanism whose code runs in a confined worker; to the pipeline it is one like any other."""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from bilevel.closable import Closable
from bilevel.errors import BilevelError, ConfigError
from bilevel.frozen import frozen
from bilevel.mechanism import HOOKS, Mechanism
from bilevel.sandbox import replies, spare
from bilevel.sandbox.failures import BadFrame, MechanismRaised, SandboxError
from bilevel.sandbox.view_updates import ViewUpdates, given, shown_again
from bilevel.sandbox.wire import pack
from bilevel.sandbox.worker_handle import HERE, Limits, Surroundings, WorkerHandle
from bilevel.space import canonical
from bilevel.view import Answer, View

_NAME = re.compile(r"[\w.-]{1,80}")
NO_STATE = "{}"
MAX_RENDERS = 64  # of one call
_MAX_CONFIG_BYTES = 512 << 10


class ConfinedMechanism(Mechanism, Closable):
    """A mechanism whose hooks are called in a confined worker process. A worker that fails is
    killed and counted in `kills`; the next call starts another one with the state that the last
    good answer came with.

    That state is every attribute of the instance that `bilevel.sandbox.wire` can write (numbers,
    texts, lists, tuples, sets, dicts, random.Random, the platform's records). `lost` names the
    others: after a restart they are as `__init__` leaves them.
    """

    def __init__(
        self,
        source: str,
        arguments: Mapping[str, Any],
        limits: Limits,
        surroundings: Surroundings = HERE,
    ) -> None:
        self._source, self._limits, self._surroundings = source, limits, surroundings
        self._arguments = pack(arguments)
        self._state = NO_STATE
        self._worker: WorkerHandle | None = None
        self._updates = ViewUpdates()
        self.kills: Counter[str] = Counter()
        self.lost: tuple[str, ...] = ()

    def close(self) -> None:
        """Ends the worker; the next call starts another one."""
        if self._worker is not None:
            self._worker.close()

    def source(self) -> str:
        return self._source

    @property
    def state(self) -> str:
        """The mechanism's state as of its last good answer, which a restarted worker gets. It is
        for that worker alone to decode."""
        return self._state

    def begin(self, state: str = NO_STATE) -> None:
        """Creates the mechanism anew, with this state or none. Raises SandboxError."""
        if self._worker is None or not self._worker.open:
            self._worker = spare.take(self._limits, self._surroundings)
            self._updates = ViewUpdates()
        self._state = state
        self._load(self._worker)

    def _call(self, hook: str, view: View, *things: Any) -> Any:
        """Calls a hook in the worker. Raises SandboxError, and what the search's model raises
        when asked."""
        try:
            hosted = self.worker
            request = self._request(hook, view, things)
            reply = hosted.call(request, _ViewServices(view, self._limits.asks))
            self._remember(reply)
            return _decoded(hook, view, things, reply.answer)
        except (MechanismRaised, TypeError, ValueError):
            raise
        except BilevelError as error:
            self.kills[type(error).__name__] += 1
            raise

    @property
    def worker(self) -> WorkerHandle:
        """The worker that holds the mechanism; restarted with the last good state if it has
        ended."""
        if self._worker is None or not self._worker.open:
            self.begin(self._state)
        assert self._worker is not None
        return self._worker

    def _request(self, hook: str, view: View, things: tuple[Any, ...]) -> dict[str, Any]:
        try:
            shown = self._updates.view(view)
            return {"hook": hook, "view": shown, "given": given(view.trace, *things)}
        except TypeError:
            self.close()  # it was not shown what `_showing` believes
            raise

    def _load(self, hosted: WorkerHandle) -> replies.Described:
        request = {
            "source": self._source,
            "arguments": self._arguments,
            "state": self._state,
            "chance": self._surroundings.chance,
        }
        reply = hosted.call(request, limit_s=self._limits.start_s)
        self._remember(reply)
        return replies.description(reply.answer)

    def _remember(self, reply: replies.Answered) -> None:
        state = bytes(reply.state)
        if len(state) <= replies.MAX_STATE_BYTES:
            self._state, self.lost = state.decode("utf-8", errors="replace"), tuple(reply.lost)
        else:
            self._state, self.lost = NO_STATE, ("everything: more than can be kept",)


class _ViewServices:
    """The host's services for a worker during one call: `view.render` and `view.ask`."""

    def __init__(self, view: View, asks: int) -> None:
        self._purpose = view.purpose
        self._views = [view]
        while self._views[-1].below is not None:
            self._views.append(self._views[-1].below)
        self._asks, self._renders = asks, MAX_RENDERS

    def granted(self, wish: replies.Reply, hosted: WorkerHandle) -> Mapping[str, Any]:
        """Return the answer to a worker's request. Raises BadFrame for one not allowed, and what
        the search's model raises."""
        try:
            if isinstance(wish, replies.Rendering):
                return self._rendered(wish, hosted)
            if isinstance(wish, replies.Asking):
                return self._asked(wish, hosted)
        except _Refused as refusal:
            return {"refused": str(refusal)}
        raise BadFrame(f"{type(wish).__name__} in the middle of a call")

    def _view(self, depth: int) -> View:
        if depth >= len(self._views):
            raise BadFrame(f"level {depth} of {len(self._views)}")
        return self._views[depth]

    def _own(self, purpose: str) -> str:
        """Return the purpose prefixed with this call's, so that a mechanism cannot ask in
        another's name."""
        own = self._purpose
        return purpose if f"{purpose}/".startswith(f"{own}/") else f"{own}/{purpose}"

    def _rendered(self, wish: replies.Rendering, hosted: WorkerHandle) -> dict[str, Any]:
        view = self._view(wish.depth)
        if self._renders <= 0:
            raise _Refused(f"view.render: at most {MAX_RENDERS} times in one call")
        self._renders -= 1
        started = time.thread_time()
        try:
            config = replies.plain("view.render: config", wish.config, _MAX_CONFIG_BYTES)
            return {"text": view.render(frozen(config))}
        except (TypeError, ValueError, LookupError, BilevelError) as error:
            return {"refused": f"{type(error).__name__}: {error}"[: replies.MAX_ERROR_CHARS]}
        finally:
            hosted.computed(time.thread_time() - started)

    def _asked(self, wish: replies.Asking, hosted: WorkerHandle) -> dict[str, Any]:
        view = self._view(wish.depth)
        if self._asks <= 0:
            raise _Refused("the model may not be asked more often in one call")
        _limited("prompt", wish.prompt, replies.MAX_PROMPT_CHARS)
        _limited("system", wish.system, replies.MAX_SYSTEM_CHARS)
        try:
            schema = replies.plain("view.ask: schema", wish.schema, replies.MAX_SCHEMA_BYTES)
        except ValueError as error:
            raise _Refused(str(error)) from None
        self._asks -= 1

        def check(value: Any) -> Any:
            reply = hosted.exchange({"check": pack(value)})
            if isinstance(reply, replies.Problem):
                raise ValueError(reply.problem[: replies.MAX_ERROR_CHARS])
            if not isinstance(reply, replies.Checked):
                raise BadFrame("an answer where a check was asked for")
            most = replies.MAX_CHECKED_BYTES
            return replies.plain("what a check made of a reply", reply.value, most)

        answer = view.for_(self._own(wish.purpose)).ask(
            wish.prompt,
            schema,
            check=check if wish.checked else None,
            system=wish.system,
            temperature=wish.temperature,
        )
        return {"asked": _given_back(answer, checked=wish.checked)}


class _Refused(Exception):
    """Raised for a refused request, with a reason for the mechanism's author."""


def _limited(name: str, text: str, most: int) -> None:
    if len(text) > most:
        raise _Refused(f"view.ask: {name} has {len(text):,} characters; at most {most:,} are sent")


def _given_back(answer: Answer, *, checked: bool) -> Any:
    """Return the model's answer packed for the worker; the value of its own check is returned
    unchanged."""
    if not checked or answer.value is None:
        return pack(answer)
    packed = pack(replace(answer, value=None))
    packed["of"][0] = answer.value["packed"]
    return packed


def _decoded(hook: str, view: View, things: tuple[Any, ...], given: msgspec.Raw) -> Any:
    """Return the answer as the type that the hook returns. Raises TypeError or ValueError."""
    most = replies.MAX_ANSWER_BYTES
    if hook == "review":  # whoever only hands on what others proposed has not answered too much
        most += sum(len(canonical(candidate.to_json())) for candidate in things[0])
    made = replies.answer(hook, given, most)
    return shown_again(view, things[0], made.trials, made.text) if hook == "brief" else made


def _hook(name: str) -> Callable[..., Any]:
    def call(self: ConfinedMechanism, view: View, *things: Any) -> Any:
        return self._call(name, view, *things)

    call.__name__ = name
    call.__doc__ = getattr(Mechanism, name).__doc__
    return call


def confine(
    source: str,
    arguments: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    surroundings: Surroundings = HERE,
) -> ConfinedMechanism:
    """Return the confined mechanism that a Python text defines: a subclass with just the hooks that
    it overrides.

    Raises SandboxUnavailable, SandboxError, ConfigError.
    """
    limits = limits or Limits()
    first = ConfinedMechanism(source, arguments or {}, limits, surroundings)
    first._worker = spare.take(limits, surroundings)
    try:
        told = first._load(first._worker)
        return _named(first, told.name, told.carrier, told.hooks)
    except (SandboxError, ConfigError):
        first.close()
        raise


def proxy(
    source: str, name: str, carrier: str, hooks: Sequence[str], limits: Limits | None = None
) -> ConfinedMechanism:
    """Return the confined mechanism of a text whose name and hooks are known from an earlier
    confinement; its worker starts with the first call. Raises ConfigError."""
    return _named(ConfinedMechanism(source, {}, limits or Limits()), name, carrier, list(hooks))


def _named(made: ConfinedMechanism, name: Any, carrier: Any, hooks: Any) -> ConfinedMechanism:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(carrier, str):
        raise ConfigError(f"a mechanism needs a name of letters and digits; got {name!r}")
    if not isinstance(hooks, list) or any(hook not in HOOKS for hook in hooks):
        raise ConfigError(f"{name}: hooks {hooks!r}; valid: {', '.join(HOOKS)}")
    body = {"name": name, "carrier": carrier[:80], **{hook: _hook(hook) for hook in hooks}}
    made.__class__ = type(f"Confined_{name}", (ConfinedMechanism,), body)
    return made
