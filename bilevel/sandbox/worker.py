"""Inside the confined process: keeps the mechanism, its picture of the loop, and answers calls."""

import ctypes
import inspect
import io
import json
import os
import random
import resource
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

from bilevel.errors import BilevelError
from bilevel.mechanism import HOOKS, Mechanism
from bilevel.sandbox import clocks
from bilevel.sandbox.failures import BadFrame
from bilevel.sandbox.frames import Channel
from bilevel.sandbox.syscalls import confine_calls
from bilevel.sandbox.warming import warm
from bilevel.sandbox.wire import pack, plain, unpack
from bilevel.sandbox.worker_views import WorkerViews
from bilevel.trace import Proposal, Trial
from bilevel.view import Answer, Ask, Brief

_FILE = "<mechanism>"
_VALUES: dict[str, type] = {"parent": int, "accept": bool}
_TEXTS = ("hypothesis", "rejected", "origin", "prompt", "problem")
_NO_PICTURE = 70
_CAPABILITIES_3 = 0x20080522


def serve(memory_mib: int, walled: bool, clock_ahead_s: float = 0.0) -> None:
    """Answers calls until its input ends; never returns. `walled`: with the system calls of
    `syscalls` only."""
    reads, writes = os.dup(0), os.dup(1)
    os.dup2(2, 0)  # the frames' pipes are no longer standard input and output
    os.dup2(2, 1)
    harden(memory_mib)
    if walled:
        confine_calls()
    if clock_ahead_s:
        clocks.shift(clock_ahead_s)
    sys.stdout = sys.stderr = _Nowhere()
    channel = Channel(reads, writes, patient=True)
    worker = _Worker(channel)
    while True:
        try:
            request = channel.receive()
        except BilevelError:
            os._exit(0)
        worker.answer(request)


def harden(memory_mib: int) -> None:
    """Gives up what an administrator may do, then what anybody may use up."""
    libc = ctypes.CDLL(None)
    libc.prctl(4, 0)  # PR_SET_DUMPABLE: no core file, and its /proc entries are its own
    libc.capset((ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0), (ctypes.c_uint32 * 6)())
    for limit, most in (
        (resource.RLIMIT_AS, memory_mib << 20),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(limit, (most, most))


class _Nowhere(io.TextIOBase):
    """Takes what the mechanism prints."""

    def write(self, text: str) -> int:
        return len(text)


class _Worker:
    """One mechanism. Every request has an id that its one answer repeats."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._picture = WorkerViews(self._render, self._asker)
        self._mechanism: Mechanism | None = None
        self._id = ""

    def answer(self, request: dict[str, Any]) -> None:
        self._id = request["id"]
        try:
            answer = self._load(request) if "source" in request else self._call(request)
            self._say("answer", **answer)
        except MemoryError:
            self._say("memory")
        except BadFrame as error:
            self._raised("TypeError", _text(error))
        except BaseException as error:  # SystemExit and KeyboardInterrupt are no way out either
            self._raised(type(error).__name__, _text(error), _line(error))

    def _raised(self, kind: str, message: str, line: int | None = None) -> None:
        where = "" if line is None else f" (line {line})"
        self._say("raised", kind=kind[:100], message=f"{message[:1900]}{where}".strip())

    def _say(self, what: str, **fields: Any) -> None:
        self._channel.send({"says": what, "id": self._id, **fields})

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        """The one Mechanism class that the source defines, made with the arguments."""
        random.seed(request["chance"])
        module = types.ModuleType("mechanism_source")
        sys.modules[module.__name__] = module
        exec(compile(request["source"], _FILE, "exec", dont_inherit=True), vars(module))
        classes = [
            kind
            for kind in vars(module).values()
            if inspect.isclass(kind)
            and issubclass(kind, Mechanism)
            and kind.__module__ == module.__name__
        ]
        if len(classes) != 1:
            named = ", ".join(kind.__name__ for kind in classes) or "none"
            raise TypeError(f"defines {named}; expected exactly one subclass of Mechanism")
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed(random.getrandbits(32))
        warm(request["source"], request["chance"])
        made = classes[0](**unpack(request["arguments"]))
        for name, value in unpack(json.loads(request["state"])).items():
            setattr(made, name, value)
        self._mechanism = made
        own = [hook for hook in HOOKS if getattr(classes[0], hook) is not getattr(Mechanism, hook)]
        description = {"name": made.name, "carrier": made.carrier, "hooks": own}
        return {"answer": description, **self._state(made)}

    def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        mechanism = self._mechanism
        if mechanism is None:
            raise TypeError("called before it was loaded")
        try:
            view = self._picture.view(request["view"])
            given = self._picture.given(request["given"])
        except Exception:
            os._exit(_NO_PICTURE)  # half a picture would be wrong from here on
        answer = getattr(mechanism, request["hook"])(view, *given)
        return {"answer": _answer_for_host(request["hook"], answer), **self._state(mechanism)}

    def _state(self, mechanism: Mechanism) -> dict[str, Any]:
        """What the mechanism would have to be told to go on in another process."""
        state: dict[str, Any] = {}
        lost: list[str] = []
        for name, value in vars(mechanism).items():
            try:
                state[name] = pack(value)
            except TypeError:
                lost.append(name)
        return {"state": state, "lost": lost}

    def _render(self, path: int, config: Mapping[str, Any]) -> str:
        return str(self._host("render", depth=path, config=plain(dict(config)))["text"])

    def _asker(self, path: int, purpose: str) -> Ask:
        def ask(
            prompt: str,
            schema: Mapping[str, Any],
            *,
            check: Any = None,
            system: str = "",
            temperature: float | None = None,
        ) -> Answer:
            reply = self._host(
                "ask",
                depth=path,
                purpose=purpose,
                prompt=prompt,
                schema=plain(dict(schema)),
                system=system,
                temperature=temperature,
                checked=check is not None,
            )
            while "check" in reply:
                try:
                    value = {"packed": pack(check(unpack(reply["check"])))}
                except (BilevelError, ValueError) as error:
                    reply = self._host("problem", problem=str(error)[:2000])
                else:
                    reply = self._host("checked", value=value)
            answer: Answer = unpack(reply["asked"])
            return answer

        return ask

    def _host(self, what: str, **wish: Any) -> dict[str, Any]:
        """One question to the host in the middle of a call."""
        self._say(what, **wish)
        reply: dict[str, Any] = self._channel.receive()
        if "refused" in reply:
            raise RuntimeError(reply["refused"])
        return reply


def _text(error: BaseException) -> str:
    """What an exception says, if it can."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception as failure:
        return f"(its text cannot be told: {type(failure).__name__})"


def _line(error: BaseException) -> int | None:
    """Where in the mechanism's own text it was raised, the innermost of its lines."""
    found, at = None, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == _FILE:
            found = at.tb_lineno
        at = at.tb_next
    return found


def _answer_for_host(hook: str, answer: Any) -> Any:
    """A hook's answer in the form that the host expects; raises TypeError for another kind."""
    if hook == "brief":
        if not isinstance(answer, Brief):
            raise TypeError(f"expected Brief, got {type(answer).__name__}")
        return {"trials": [_shown(trial) for trial in answer.trials], "text": str(answer.text)}
    if hook in {"propose", "review"}:
        return [_candidate(_kind(one, Proposal)) for one in _sequence(answer)]
    if hook == "observe":
        return None
    value = plain(answer)
    if value is not None and type(value) is not _VALUES[hook]:
        expected = _VALUES[hook].__name__
        raise TypeError(f"expected {expected} or None, got {type(answer).__name__}")
    return value


def _candidate(made: Proposal) -> dict[str, Any]:
    """Raises TypeError for a proposal whose fields are not what they should be."""
    texts = {name: getattr(made, name) for name in _TEXTS}
    strange = [name for name, text in texts.items() if not isinstance(text, str)]
    if strange:
        raise TypeError(f"a proposal's {', '.join(strange)} has to be a text")
    if not isinstance(made.changes, Mapping):
        raise TypeError("a proposal's changes are a dict: {parameter: value}")
    return {"changes": plain(dict(made.changes)), **texts}


def _shown(trial: Any) -> int:
    return int(_kind(trial, Trial).number)


def _sequence(answer: Any) -> Sequence[Any]:
    return list(answer)


def _kind(answer: Any, kind: type[Any]) -> Any:
    if not isinstance(answer, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(answer).__name__}")
    return answer
