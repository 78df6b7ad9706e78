"""A mechanism whose code runs in a confined worker; to the pipeline it is one like any other."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bilevel.closing import Closing
from bilevel.errors import BilevelError, ConfigError
from bilevel.mechanism import HOOKS, Mechanism
from bilevel.sandbox import spare
from bilevel.sandbox.failures import BadFrame, MechanismRaised, SandboxError
from bilevel.sandbox.hosted import Hosted, Limits
from bilevel.sandbox.showing import Showing, candidates, given, shown_again
from bilevel.sandbox.wire import pack, unpack
from bilevel.view import View

_NAME = re.compile(r"[\w.-]{1,80}")
_ANSWERS = {"tuple", "mappingproxy", "Proposal"}
STATE_MAX_CHARS = 256 << 10


class ConfinedMechanism(Mechanism, Closing):
    """The proxy of one mechanism. A worker that fails is killed and counted in `kills`; the next
    call starts another one with the state that the last good answer came with.

    That state is every attribute of the instance that `bilevel.sandbox.wire` can write (numbers,
    texts, lists, tuples, sets, dicts, random.Random, the platform's records). `lost` names the
    others: after a restart they are as `__init__` leaves them. `chance` is what the generators
    that belong to nobody are seeded with (`random.random()`, say) as the mechanism is made.
    """

    def __init__(
        self, source: str, arguments: Mapping[str, Any], limits: Limits, chance: str = ""
    ) -> None:
        self._source, self._limits, self._chance = source, limits, chance
        self._arguments = pack(arguments)
        self._state: dict[str, Any] = {}
        self._hosted: Hosted | None = None
        self._showing = Showing()
        self.kills: Counter[str] = Counter()
        self.lost: tuple[str, ...] = ()

    def close(self) -> None:
        """Ends the worker; the next call starts another one."""
        if self._hosted is not None:
            self._hosted.close()

    def source(self) -> str:
        return self._source

    @property
    def state(self) -> Mapping[str, Any]:
        """What came with the last good answer: all that another worker would be told to go on."""
        return self._state

    def begin(self, state: Mapping[str, Any] | None = None) -> None:
        """Makes the mechanism anew, with this state or none. Raises SandboxError."""
        if self._hosted is None or not self._hosted.open:
            self._hosted, self._showing = spare.take(self._limits), Showing()
        self._state = dict(state or {})
        self._load(self._hosted)

    def _call(self, hook: str, view: View, *things: Any) -> Any:
        """Raises SandboxError, and whatever the search's model raises when it is asked."""
        try:
            hosted = self.worker
            request = self._request(hook, view, things)
            reply = hosted.call(request, Wishes(view, self._limits.asks).answers)
            self._remember(reply)
            return _understood(hook, view, things, reply["answer"])
        except (MechanismRaised, TypeError, ValueError):
            raise
        except BilevelError as error:
            self.kills[type(error).__name__] += 1
            raise

    @property
    def worker(self) -> Hosted:
        """Holds the mechanism, as it was after its last good answer."""
        if self._hosted is None or not self._hosted.open:
            self.begin(self._state)
        assert self._hosted is not None
        return self._hosted

    def _request(self, hook: str, view: View, things: tuple[Any, ...]) -> dict[str, Any]:
        try:
            shown = self._showing.view(view)
            return {"hook": hook, "view": shown, "given": given(view.trace, *things)}
        except TypeError:
            self.close()  # it was not shown what `_showing` believes
            raise

    def _load(self, hosted: Hosted) -> dict[str, Any]:
        request = {
            "source": self._source,
            "arguments": self._arguments,
            "state": self._state,
            "chance": self._chance,
        }
        reply = hosted.call(request, limit_s=self._limits.start_s)
        self._remember(reply)
        description = reply["answer"]
        if not isinstance(description, dict):
            raise BadFrame("a mechanism without a description")
        return description

    def _remember(self, reply: Mapping[str, Any]) -> None:
        if len(str(reply["state"])) <= STATE_MAX_CHARS:
            self._state = reply["state"]
            self.lost = tuple(str(name) for name in reply["lost"])
        else:
            self._state, self.lost = {}, ("everything: more than can be kept",)


class Wishes:
    """What a worker may ask of the host in one call."""

    def __init__(self, view: View, asks: int) -> None:
        self._views = [view]
        while self._views[-1].below is not None:
            self._views.append(self._views[-1].below)
        self._asks = asks
        self.answers: dict[str, Callable[[Any, Hosted], dict[str, Any]]] = {
            "ask": self._ask,
            "render": self._render,
        }

    def _render(self, wish: Any, hosted: Hosted) -> dict[str, Any]:
        try:
            depth, config = wish
            return {"text": self._views[depth].render(unpack(config, _ANSWERS))}
        except (TypeError, ValueError, LookupError, BilevelError) as error:
            return {"refused": f"{type(error).__name__}: {error}"}

    def _ask(self, wish: Any, hosted: Hosted) -> dict[str, Any]:
        if self._asks <= 0:
            return {"refused": "the model may not be asked more often in one call"}
        depth, purpose, prompt, schema, system, temperature, checked = _question(wish)
        if not 0 <= depth < len(self._views):
            raise BadFrame(f"level {depth} of {len(self._views)}")
        self._asks -= 1

        def check(value: Any) -> Any:
            reply = hosted.exchange({"check": pack(value)}, "checked", "problem")
            if "problem" in reply:
                raise ValueError(str(reply["problem"])[:2000])
            return unpack(reply["checked"], _ANSWERS)

        answer = (
            self._views[depth]
            .for_(purpose)
            .ask(
                prompt,
                schema,
                check=check if checked else None,
                system=system,
                temperature=temperature,
            )
        )
        return {"asked": pack(answer)}


def _question(wish: Any) -> tuple[int, str, str, dict[str, Any], str, float | None, bool]:
    kinds = (int, str, str, dict, str, int | float | None, bool)
    if not isinstance(wish, list) or len(wish) != len(kinds):
        raise BadFrame("a question of the wrong form")
    if not all(isinstance(one, kind) for one, kind in zip(wish, kinds, strict=True)):
        raise BadFrame("a question of the wrong form")
    return tuple(wish)


def _understood(hook: str, view: View, things: tuple[Any, ...], answer: Any) -> Any:
    """The answer as the hook's own kind; raises TypeError or ValueError for another."""
    if hook == "brief":
        if not isinstance(answer, dict):
            raise TypeError("a brief is a list of trials and a text")
        return shown_again(view, things[0], answer.get("trials"), answer.get("text"))
    made = unpack(answer, _ANSWERS)
    if hook in {"propose", "review"}:
        return candidates(made if isinstance(made, list) else [made])
    return made


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
    chance: str = "",
) -> ConfinedMechanism:
    """The mechanism that a Python text defines: a subclass with just the hooks that it overrides.

    Raises SandboxUnavailable, SandboxError, ConfigError.
    """
    limits = limits or Limits()
    first = ConfinedMechanism(source, arguments or {}, limits, chance)
    first._hosted = spare.take(limits)
    try:
        told = first._load(first._hosted)
        return _named(first, *(told.get(key) for key in ("name", "carrier", "hooks")))
    except (SandboxError, ConfigError):
        first.close()
        raise


def proxy(
    source: str, name: str, carrier: str, hooks: Sequence[str], limits: Limits | None = None
) -> ConfinedMechanism:
    """The mechanism of a text that was confined before, so that its name and hooks are known; its
    worker starts with the first call. Raises ConfigError."""
    return _named(ConfinedMechanism(source, {}, limits or Limits()), name, carrier, list(hooks))


def _named(made: ConfinedMechanism, name: Any, carrier: Any, hooks: Any) -> ConfinedMechanism:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(carrier, str):
        raise ConfigError(f"a mechanism needs a name of letters and digits; got {name!r}")
    if not isinstance(hooks, list) or any(hook not in HOOKS for hook in hooks):
        raise ConfigError(f"{name}: hooks {hooks!r}; valid: {', '.join(HOOKS)}")
    body = {"name": name, "carrier": carrier[:80], **{hook: _hook(hook) for hook in hooks}}
    made.__class__ = type(f"Confined_{name}", (ConfinedMechanism,), body)
    return made
