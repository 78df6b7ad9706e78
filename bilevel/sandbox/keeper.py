"""Stands between a search and its worker: starts it confined, and ends it with the search.

It is a program of its own, started with an environment of a few harmless variables: the worker is
forked from here and not from a process that holds a key. It needs nothing of the platform.

The worker gets this process's standard streams; this process keeps a control pipe, whose end means
that the worker has to go. Its exit code is the worker's (128 + signal for a killed one).
"""

import ctypes
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

CREATE_RULESET, RESTRICT_SELF, NO_NEW_PRIVILEGES = 444, 446, 38
_MAKE_BLOCK_DEVICE = 1 << 11  # what a keeper does not do; a domain has to forbid something
_NEW_NAMESPACES = 0x20000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000  # mnt ipc user pid net
END_WITH_PARENT, PRIVATE_MOUNTS, NO_PROGRAMS = 1, 1 << 18 | 1 << 14, 1 << 1 | 1 << 2 | 1 << 3
_libc = ctypes.CDLL(None, use_errno=True)


def _enter_namespaces() -> None:
    """Goes on as the first process in namespaces of its own, with a `/proc` that shows nobody
    else. The process that was started waits outside, ends as this one does, and takes it along
    when it is killed. Raises OSError where the kernel refuses."""
    user, group = os.getuid(), os.getgid()
    _checked(_libc.unshare(_NEW_NAMESPACES))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    inside = os.fork()
    if inside:
        os.closerange(0, 1024)  # who waits for the end of a stream waits for the worker's alone
        code = os.waitstatus_to_exitcode(os.waitpid(inside, 0)[1])
        os._exit(code if code >= 0 else 128 - code)
    _libc.prctl(END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    _checked(_libc.mount(b"none", b"/", None, PRIVATE_MOUNTS, None))
    _checked(_libc.mount(b"proc", b"/proc", b"proc", NO_PROGRAMS, None))


def _checked(answer: int) -> None:
    """Raises OSError for a call that failed."""
    if answer != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _enter_own_landlock_domain() -> None:
    """Puts this process into a Landlock domain of its own, from which it sees into no process
    outside: it looks links up for the worker, and `/proc` has some that tell whose files are open.
    Raises OSError."""
    rules = _libc.syscall(
        CREATE_RULESET, struct.pack("Q", _MAKE_BLOCK_DEVICE), ctypes.c_size_t(8), 0
    )
    _checked(min(rules, 0))
    _libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _checked(_libc.syscall(RESTRICT_SELF, rules, 0))
    os.close(rules)


def _sandlock_worker(order: dict[str, Any]) -> Any:
    """Landlock cannot hide what lies in a folder that may be read: where that is wanted, sandlock's
    supervisor is asked about every file that is opened."""
    sys.path += order["libraries"]
    import sandlock

    if order["hidden"]:
        return _supervised_worker(order)
    rules = sandlock.Sandbox(fs_readable=order["readable"])
    return subprocess.Popen(
        order["command"],
        env=order["environment"],
        cwd="/",
        preexec_fn=lambda: sandlock.confine(rules),  # noqa: PLW1509 - there is one thread
    )


def _supervised_worker(order: dict[str, Any]) -> Any:
    import sandlock

    _enter_own_landlock_domain()
    sandbox = sandlock.Sandbox(
        fs_readable=order["readable"],
        fs_denied=order["hidden"],
        clean_env=True,
        env=order["environment"],
        max_processes=1,
        max_open_files=32,
        no_coredump=True,
        cwd="/",
    )
    return sandbox.popen(order["command"])


def _bwrap_worker(order: dict[str, Any]) -> Any:
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    command += ["--cap-drop", "ALL"]
    for path in order["readable"]:
        command += ["--ro-bind", path, path]
    for link, target in order["links"].items():
        command += ["--symlink", target, link]
    for path in order["hidden"]:
        command += ["--tmpfs", path, "--remount-ro", path]
    for path in order.get("devices", ()):
        command += ["--dev-bind", path, path]
    for name, value in order["environment"].items():
        command += ["--setenv", name, value]
    return subprocess.Popen([*command, "--remount-ro", "/", "--chdir", "/", *order["command"]])


def _unsafe_worker(order: dict[str, Any]) -> Any:
    return subprocess.Popen(order["command"], env=order["environment"])


_WORKERS = {"sandlock": _sandlock_worker, "bwrap": _bwrap_worker, "unsafe": _unsafe_worker}


def main(order: dict[str, Any]) -> int:
    if order["namespaces"]:
        _enter_namespaces()
    if order["layer"] == "none":
        return 0  # somebody wanted to know whether there are namespaces
    os.set_inheritable(order["control"], False)
    worker = _WORKERS[order["layer"]](order)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nothing, stream)
    while os.read(order["control"], 1):
        pass
    if isinstance(worker, subprocess.Popen):
        worker.kill()
        code = worker.wait()
    else:
        worker.kill()
        ended = worker.wait(5.0)
        code = -ended.signal if ended.signal > 0 else ended.exit_code
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
