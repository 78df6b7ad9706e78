"""Closes the ways by which a script would compute beside the counter, and tells which it tried.

What is closed here by name and by the interpreter's audit events is what Python leads to without
forging memory. That is not a wall: README.md tells what is left.
"""

from __future__ import annotations

import _thread
import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch.utils import _python_dispatch

from bilevel.tasks.cpu_gpt_code.books import End

# Takes dispatch modes away, calls kernels below them, or replaces what the kernels are
_BELOW = (
    *("_pop_torch_dispatch_stack", "_push_on_torch_dispatch_stack", "_get_dispatch_stack_at"),
    *("_set_dispatch_mode", "_unset_dispatch_mode", "_get_dispatch_mode", "_DisableTorchDispatch"),
    *("_ExcludeDispatchKeyGuard", "ExcludeDispatchKeyGuard", "_ForceDispatchKeyGuard"),
    *("_IncludeDispatchKeyGuard", "_SetExcludeDispatchKeyGuard", "_PreserveDispatchKeyGuard"),
    *("_RestorePythonTLSSnapshot", "_EnablePreDispatch", "_EnablePythonDispatcher"),
    *("_DisablePythonDispatcher", "_AutoDispatchBelowADInplaceOrView", "_dispatch_call_boxed"),
    *("_AutoDispatchBelowAutograd", "_dispatch_tls_set_dispatch_key_excluded"),
    *("_dispatch_tls_set_dispatch_key_included", "_dispatch_pystub"),
    *("_construct_storage_from_data_pointer", "_set_meta_in_tls_dispatch_include"),
    "_te",
)
# Kernels that the just-in-time compiler makes itself, which are no operations
_FUSED = ("_jit_set_llga", "_jit_set_texpr", "_jit_override_can_fuse", "_jit_texpr_set")
_SIGNALS = ("signal", "setitimer", "alarm", "pthread_kill", "raise_signal", "siginterrupt")
_EVENTS = {
    **dict.fromkeys(
        ("gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys._current_frames"),
        "looks for the counter",
    ),
    **dict.fromkeys(
        ("sys.settrace", "sys.setprofile", "sys.monitoring.register_callback"),
        "watches the counter",
    ),
    **dict.fromkeys(("os.fork", "os.forkpty", "os.posix_spawn", "os.exec"), "starts a process"),
    **dict.fromkeys(("subprocess.Popen", "os.system"), "starts a process"),
}
HIDDEN = {"gi_frame", "gi_code", "cr_frame", "ag_frame"}  # of generators
_WRITTEN = {"__code__"}
_OURS = {"aten", "bilevel"}  # whose kernels stay what they are
_ABOVE = {"Meta", "FuncTorchBatched"}  # kernels that compute nothing, or by operations that count


def close(end: End) -> None:
    """Closes them in this process, for good."""

    def refused(name: str) -> Any:
        return lambda *_, **__: end({"beside": name})

    fused = [name for name in dir(torch._C) if name.startswith(_FUSED)]
    _replace({name: refused(f"torch._C.{name}") for name in (*_BELOW, *fused)})
    libraries = _libraries(torch._C._dispatch_library, end)
    next(libraries)
    kept = libraries.send
    torch._C._dispatch_library = lambda *given: kept(given)
    handle: Any = torch._C._DispatchOperatorHandle
    handle.redispatch_boxed = refused("redispatch")
    _python_dispatch._disable_current_modes = _no_mode  # printing a tensor asks for it
    for module in (_thread, threading):
        for name in ("start_new_thread", "start_new", "_start_new_thread"):
            if hasattr(module, name):
                setattr(module, name, refused(f"a thread ({name})"))
    for module in (signal, sys.modules["_signal"]):
        for name in _SIGNALS:  # a handler runs anywhere, in the counter too
            setattr(module, name, refused(f"a signal ({name})"))
    gc.collect()
    gc.freeze()
    gc.disable()  # a finaliser would run wherever an object is made, in the counter too
    gc.enable = gc.set_threshold = lambda *_: None  # type: ignore[assignment]
    sys.addaudithook(_hook(end))


def _replace(made: dict[str, Any]) -> None:
    """Replaces names of `torch._C`, there and in every module but the platform's that imported
    them."""
    found = {id(getattr(torch._C, name)): name for name in made if hasattr(torch._C, name)}
    for path, module in list(sys.modules.items()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if id(value) in found and not path.startswith("bilevel"):
                setattr(module, name, made[found[id(value)]])


def _libraries(make: Any, end: End) -> Generator[Any, tuple[Any, ...], None]:
    """Torch defines operations of other namespaces, which are not on the list, when a part of it is
    imported. A generator: what it holds is not shown."""
    made = None
    while True:
        given = yield made
        plain = all(type(one) is str for one in given[:3])
        if not plain or (given[1] in _OURS and given[2] not in _ABOVE):
            end({"beside": f"a kernel for {given[1]}"})
        made = make(*given)


@contextlib.contextmanager
def _no_mode() -> Iterator[tuple[()]]:
    yield ()


def _hook(end: End) -> Any:
    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in _EVENTS:
            end({"beside": f"{event} ({_EVENTS[event]})"})
        elif event.startswith("ctypes."):
            end({"beside": f"{event} (calls machine code)"})
        elif event == "object.__getattr__" and args[1] in HIDDEN:
            end({"beside": f"{args[1]} (looks for the counter)"})
        elif event == "object.__setattr__" and args[1] in _WRITTEN:
            end({"beside": f"{args[1]} (rewrites a function)"})

    return hook
