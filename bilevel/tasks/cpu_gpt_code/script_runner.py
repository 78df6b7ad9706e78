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
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bilevel.errors import BilevelError
from bilevel.sandbox.syscalls import confine_calls
from bilevel.sandbox.worker import harden
from bilevel.tasks.cpu_gpt import job as seam
from bilevel.tasks.cpu_gpt_code import seeding
from bilevel.tasks.cpu_gpt_code.arrays import ArrayChannel
from bilevel.tasks.cpu_gpt_code.books import COUNTS, End, Serve, streams
from bilevel.tasks.cpu_gpt_code.counting import GRACE, Counter, table
from bilevel.tasks.cpu_gpt_code.guarding import close
from bilevel.tasks.cpu_gpt_code.operations import ALLOWED_WIDTH
from bilevel.tasks.cpu_gpt_code.served import RunMeter, ServedJob

_SCRIPT = "train.py"
_SHOWN_CHARS = 4000
_DIVERGED = "FAIL"  # what the training script prints before it gives up
_DTYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool, torch.uint8),
        *(torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64),
    )
}


class _Tail(io.TextIOBase):
    """Keeps the end of what the script prints."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-_SHOWN_CHARS:]
        return len(text)


def serve() -> None:
    """One run from its order to the end of the questions; never returns.

    While the script runs, the frames below it hold its text and what it prints; the rest is kept in
    a generator, whose frame is not among them.
    """
    printed = _Tail()
    rest = _conduct(printed)
    text = next(rest)
    sys.stdout = sys.stderr = printed
    rest.send(_outcome(text, printed))


def _conduct(printed: _Tail) -> Generator[str, dict[str, Any], None]:
    """A generator for all but the script's own run: yields its text, is sent its outcome."""
    reads, writes = os.dup(0), os.dup(1)
    os.dup2(2, 0)  # the frames' pipes are no longer standard input and output
    os.dup2(2, 1)
    channel = ArrayChannel(reads, writes, patient=True)
    order, _ = channel.take(0)
    torch.set_num_threads(1)
    torch._C._set_deterministic_algorithms(True)  # the public one imports the compiler too
    harden(order["memory_mib"])
    seeding.fix(order["seed"])
    ending = _ending(channel, printed)
    next(ending)
    end = ending.send
    job, counter, question = _counted(order, channel, end)
    end({"ask": counter.ask})
    seam.start(job)
    _limit_cpu(order["cpu_s"])
    if order["walled"]:
        confine_calls()
    close(end)
    _forget()
    channel.give({"ready": True})
    with counter:
        outcome = yield order["script"]
        if job.model is None:
            outcome = outcome or {"missing": "the script ended without job.hand_over(model)"}
        if outcome:
            end(outcome)
        account = {**counter.ask((COUNTS,)), "output": _sendable(printed.text)}
        try:
            state, raw = _packed(job.model)  # type: ignore[arg-type]
        except Exception as error:  # the script's own state_dict, say
            end({"problem": described(error)})
    channel.give({"state": state, **account}, raw)
    try:
        while True:
            answer(channel, job.model, question())  # type: ignore[arg-type]
    except BilevelError:
        os._exit(0)


def _counted(
    order: dict[str, Any], channel: ArrayChannel, end: End
) -> tuple[ServedJob, Counter, Callable[[], Counter]]:
    """The script's job, its counter, and a way to a new one for a question."""
    meter = RunMeter(order["budget_s"], closed=order["closed"])
    job = ServedJob(order["seed"], order["vocab_size"], order["time_len"], meter)
    listed, moved = table(), streams()
    most_s = order["budget_s"] * (1 + GRACE)
    counter = Counter(listed, moved, end, _serving(channel, job), most_s)
    return job, counter, lambda: Counter(listed, moved, end)


def _ending(channel: ArrayChannel, printed: _Tail) -> Generator[None, dict[str, Any], None]:
    """Is told whom to ask for the account, then the last message: there is no way to catch it."""
    ask = (yield)["ask"]
    message = yield
    account = {} if "counts" in message else ask((COUNTS,))
    channel.give({**message, **account, "output": _sendable(printed.text)})
    os._exit(0)


def _serving(channel: ArrayChannel, job: ServedJob) -> Serve:
    def batch(rows: int, used_s: float, calls: int) -> tuple[Tensor, int]:
        """(rows, time + 1)"""
        channel.give({"batch": rows, "used_s": used_s, "calls": calls})
        _, raw = channel.take(rows * (time_len + 1) * 2)
        tokens = np.frombuffer(raw, dtype="<u2").reshape(rows, -1).astype(np.int64)
        return torch.from_numpy(tokens), rows * allowed

    time_len, allowed = job.time_len, job.time_len * job.vocab_size * ALLOWED_WIDTH
    return batch


def _outcome(text: str, printed: _Tail) -> dict[str, Any]:
    """Runs the script: what is wrong with it, if anything."""
    try:
        _execute(text)
    except SystemExit as leaving:
        if leaving.code in (None, 0):
            return {}
        if printed.text.rstrip().endswith(_DIVERGED):
            return {"diverged": f"it printed {_DIVERGED} and left: the loss diverged"}
        return {"problem": f"it left with exit code {leaving.code}"}
    except BaseException as error:
        if _is_out_of_memory(error):
            return {"memory": True}
        traceback.print_exc()
        return {"problem": described(error)}
    return {}


def _limit_cpu(more_s: float) -> None:
    """Lets the kernel end this process after so many more processor seconds, over all threads;
    the script cannot raise the limit."""
    most = math.ceil(time.process_time() + more_s)
    resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))


def _forget() -> None:
    """Removes the counter's modules from `sys.modules`, so that the script cannot import them."""
    for name in ("books", "counting", "prices", "operations", "guarding", "script_runner"):
        sys.modules.pop(f"{__package__}.{name}", None)
        vars(sys.modules[__package__]).pop(name, None)


def _execute(text: str) -> None:
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = [_SCRIPT]
    linecache.cache[_SCRIPT] = (len(text), None, text.splitlines(keepends=True), _SCRIPT)
    exec(compile(text, _SCRIPT, "exec", dont_inherit=True), vars(module))


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error was for lack of memory, for which torch has no exception of its
    own."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error)


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def described(error: BaseException) -> str:
    """Return an error's type, message, and line in the script."""
    return _sendable(f"{type(error).__name__}: {str(error)[:1000]}{_where(error)}")


def _where(error: BaseException) -> str:
    found, at = "", error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == _SCRIPT:
            found = f" ({_SCRIPT}, line {at.tb_lineno})"
        at = at.tb_next
    return found


def _packed(model: nn.Module) -> tuple[list[Any], bytes]:
    """Names, types and shapes of parameters and buffers, and their bytes. Raises TypeError."""
    listed, parts = [], []
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"the model's state_dict holds {name}, which is no tensor")
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind not in _DTYPES:
            raise TypeError(f"{name} is {kind}; valid: {', '.join(_DTYPES)}")
        listed.append([name, kind, list(tensor.shape)])
        flat = tensor.detach().contiguous().flatten()
        parts.append(flat.view(torch.uint8).numpy().tobytes())
    return listed, b"".join(parts)


def _load(model: nn.Module, listed: list[Any], raw: bytes) -> None:
    state, at = {}, 0
    for name, kind, shape in listed:
        size = math.prod(shape) * _DTYPES[kind].itemsize
        part = torch.from_numpy(np.frombuffer(raw[at : at + size], dtype=np.uint8).copy())
        state[name], at = part.view(_DTYPES[kind]).reshape(shape), at + size
    model.load_state_dict(state)


def answer(channel: ArrayChannel, model: nn.Module, counter: Counter) -> None:
    """One question: weights to load, or tokens to predict from."""
    request, raw = channel.take(1 << 30)
    try:
        with torch.no_grad():
            if "load" in request:
                _load(model, request["load"], raw)
                channel.give({"loaded": True})
                return
            tokens = torch.from_numpy(np.frombuffer(raw, dtype="<i8").copy())
            tokens = tokens.reshape(request["ask"])
            with counter:
                logits = model(tokens)
            if type(logits) is not Tensor:
                raise TypeError(f"the model gave {type(logits).__name__}, expected a torch.Tensor")
            values = logits.detach().float().contiguous()
        given = values.numpy().tobytes()
        channel.give({"logits": list(values.shape), "used_s": counter.used_s}, given)
    except Exception as error:
        channel.give(
            {"memory": True} if _is_out_of_memory(error) else {"problem": described(error)}
        )
