"""Inside the confined process: runs the edited script, then answers for the model it handed over.

Nothing of what happens here is believed: the evaluator outside normalises, compares and counts the
answers, and holds the validation tokens. See README.md.
"""

from __future__ import annotations

import io
import linecache
import math
import os
import resource
import sys
import time
import traceback
import types
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from bilevel.errors import BilevelError
from bilevel.sandbox.worker import harden
from bilevel.tasks.cpu_gpt import job as seam
from bilevel.tasks.cpu_gpt_code import seeding
from bilevel.tasks.cpu_gpt_code.arrays import ArrayChannel
from bilevel.tasks.cpu_gpt_code.counting import GRACE, Counter, Streams, table
from bilevel.tasks.cpu_gpt_code.guarding import close
from bilevel.tasks.cpu_gpt_code.operations import ALLOWED_WIDTH
from bilevel.tasks.cpu_gpt_code.served import RunMeter, ServedJob

SCRIPT = "train.py"
SHOWN_CHARS = 4000
DIVERGED = "FAIL"  # what the training script prints before it gives up
DTYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool, torch.uint8),
        *(torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64),
    )
}


class Tail(io.TextIOBase):
    """Keeps the end of what the script prints."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-SHOWN_CHARS:]
        return len(text)


def serve() -> None:
    """One run from its order to the end of the questions; never returns."""
    reads, writes = os.dup(0), os.dup(1)
    os.dup2(2, 0)  # the frames' pipes are no longer standard input and output
    os.dup2(2, 1)
    channel = ArrayChannel(reads, writes, patient=True)
    order, _ = channel.take(0)
    torch.set_num_threads(1)
    torch._C._set_deterministic_algorithms(True)  # the public one imports the compiler too
    harden(order["memory_mib"])
    seeding.fix(order["seed"])
    run = Run(channel, order)
    channel.give({"ready": True})
    limit_cpu(order["cpu_s"])
    model = run.model()
    try:
        while True:
            answer(channel, model, run.counter)
    except BilevelError:
        os._exit(0)


def limit_cpu(more_s: float) -> None:
    """From now on; the kernel counts every thread, and nothing in here can raise the limit."""
    most = math.ceil(time.process_time() + more_s)
    resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))


class Run:
    """The script's own run: executed, counted, ended with its model or with what went wrong."""

    def __init__(self, channel: ArrayChannel, order: dict[str, Any]) -> None:
        self._channel = channel
        self._text = order["script"]
        self._printed = Tail()
        self._table, self._streams = table(), Streams()
        most_s = order["budget_s"] * (1 + GRACE)
        self._counter = Counter(self._table, self._streams, self._end, self._serve, most_s)
        meter = RunMeter(order["budget_s"], closed=order["closed"])
        self._job = ServedJob(order["seed"], order["vocab_size"], order["time_len"], meter)
        _forget()
        close(self._end)

    def counter(self) -> Counter:
        """A new one, for one question."""
        return Counter(self._table, self._streams, self._end)

    def model(self) -> nn.Module:
        sys.stdout = sys.stderr = self._printed
        seam.start(self._job)
        try:
            with self._counter:
                _execute(self._text)
            problem = ""
        except SystemExit as leaving:
            problem = "" if leaving.code in (None, 0) else f"it left with exit code {leaving.code}"
            if problem and self._printed.text.rstrip().endswith(DIVERGED):
                self._end({"diverged": f"it printed {DIVERGED} and left: the loss diverged"})
        except BaseException as error:
            if starved(error):
                self._end({"memory": True})
            traceback.print_exc()
            problem = described(error)
        if problem:
            self._end({"problem": problem})
        made: Any = self._job.model
        if made is None:
            self._end({"missing": "the script ended without job.hand_over(model)"})
        self._tell_state(made)
        return made  # type: ignore[no-any-return]

    def _serve(self, rows: int, used_s: float) -> Tensor:
        """The next batch, (rows, time + 1): the counter's word for what was used until now."""
        self._channel.give({"batch": rows, "used_s": used_s})
        self._counter.grant(rows * self._job.time_len * self._job.vocab_size * ALLOWED_WIDTH)
        _, raw = self._channel.take(rows * (self._job.time_len + 1) * 2)
        tokens = np.frombuffer(raw, dtype="<u2").reshape(rows, -1).astype(np.int64)
        return torch.from_numpy(tokens)

    def _tell_state(self, model: nn.Module) -> None:
        try:
            listed, raw = packed(model)
        except Exception as error:  # the script's own state_dict, say
            self._end({"problem": described(error)})
        self._channel.give({"state": listed, **self._account()}, raw)

    def _account(self) -> dict[str, Any]:
        return {**self._counter.account(), "output": sendable(self._printed.text)}

    def _end(self, message: dict[str, Any]) -> NoReturn:
        """There is no way to catch it."""
        self._channel.give({**message, **self._account()})
        os._exit(0)


def _forget() -> None:
    """The counter's modules are known to nobody who asks for them by name."""
    for name in ("counting", "prices", "operations", "guarding", "seat"):
        sys.modules.pop(f"{__package__}.{name}", None)
        vars(sys.modules[__package__]).pop(name, None)


def _execute(text: str) -> None:
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = [SCRIPT]
    linecache.cache[SCRIPT] = (len(text), None, text.splitlines(keepends=True), SCRIPT)
    exec(compile(text, SCRIPT, "exec", dont_inherit=True), vars(module))


def starved(error: BaseException) -> bool:
    """Whether it wanted more memory than there is; torch has no exception of its own for that."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error)


def sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def described(error: BaseException) -> str:
    """Its kind, its message, and where in the script."""
    return sendable(f"{type(error).__name__}: {str(error)[:1000]}{_where(error)}")


def _where(error: BaseException) -> str:
    found, at = "", error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == SCRIPT:
            found = f" ({SCRIPT}, line {at.tb_lineno})"
        at = at.tb_next
    return found


def packed(model: nn.Module) -> tuple[list[Any], bytes]:
    """Names, types and shapes of parameters and buffers, and their bytes. Raises TypeError."""
    listed, parts = [], []
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"the model's state_dict holds {name}, which is no tensor")
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind not in DTYPES:
            raise TypeError(f"{name} is {kind}; valid: {', '.join(DTYPES)}")
        listed.append([name, kind, list(tensor.shape)])
        flat = tensor.detach().contiguous().flatten()
        parts.append(flat.view(torch.uint8).numpy().tobytes())
    return listed, b"".join(parts)


def load(model: nn.Module, listed: list[Any], raw: bytes) -> None:
    state, at = {}, 0
    for name, kind, shape in listed:
        size = math.prod(shape) * DTYPES[kind].itemsize
        part = torch.from_numpy(np.frombuffer(raw[at : at + size], dtype=np.uint8).copy())
        state[name], at = part.view(DTYPES[kind]).reshape(shape), at + size
    model.load_state_dict(state)


def answer(channel: ArrayChannel, model: nn.Module, counter: Callable[[], Counter]) -> None:
    """One question: weights to load, or tokens to predict from."""
    request, raw = channel.take(1 << 30)
    try:
        with torch.no_grad():
            if "load" in request:
                load(model, request["load"], raw)
                channel.give({"loaded": True})
                return
            tokens = torch.from_numpy(np.frombuffer(raw, dtype="<i8").copy())
            tokens = tokens.reshape(request["ask"])
            with counter() as counted:
                logits = model(tokens)
            values = logits.detach().float().contiguous()
        given = values.numpy().tobytes()
        channel.give({"logits": list(values.shape), "used_s": counted.used_s}, given)
    except Exception as error:
        channel.give({"memory": True} if starved(error) else {"problem": described(error)})
