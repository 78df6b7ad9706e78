"""The system calls that a worker may make once it is loaded; the kernel refuses it all others.

A filter of classic BPF, put together here and installed by the worker itself before it reads the
mechanism's text, so that every layer has the same one. `sandlock` can only add to a list of what is
denied, and what `bwrap --seccomp` installs would have to let a program start; libseccomp and its
bindings are not on every machine.

The list was measured with strace: every curated mechanism, and numpy, scipy and scikit-learn with
all that they import. Where a call is needed in one form only, its arguments are looked at.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_Instruction = tuple[int, int, int, int]
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_REFUSED, _UNKNOWN = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where they are in the kernel's seccomp_data
_NEWER = 424  # from here on every architecture has the same numbers, and libraries do without
_NO_NEW_PRIVILEGES, _SET_FILTER, _ALL_THREADS, _IS_THERE = 38, 1, 1, 2


@dataclass(frozen=True)
class Architecture:
    """A processor architecture: `column` is its place in CALLS, `token` the kernel's name of it,
    `seccomp` the number of that call."""

    column: int
    token: int
    seccomp: int


ARCHITECTURES = {
    "x86_64": Architecture(0, 0xC000003E, 317),
    "aarch64": Architecture(1, 0xC00000B7, 277),
}
CALLS: dict[str, tuple[int | None, int | None]] = {
    # files: which ones can be opened is the layer's to say. `open` and the like are older forms
    **{"read": (0, 63), "pread64": (17, 67), "write": (1, 64), "lseek": (8, 62), "close": (3, 57)},
    **{"openat": (257, 56), "open": (2, None), "getdents64": (217, 61), "fstat": (5, 80)},
    **{"newfstatat": (262, 79), "stat": (4, None), "lstat": (6, None), "getcwd": (79, 17)},
    **{"readlinkat": (267, 78), "readlink": (89, None), "ioctl": (16, 29), "fcntl": (72, 25)},
    # its own memory
    **{"mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216), "mprotect": (10, 226)},
    **{"madvise": (28, 233), "brk": (12, 214), "futex": (202, 98), "sched_yield": (24, 124)},
    # clocks, and waiting
    **{"clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169)},
    **{"time": (201, None), "times": (100, 153), "getrusage": (98, 165)},
    **{"nanosleep": (35, 101), "clock_nanosleep": (230, 115), "restart_syscall": (219, 128)},
    # who and where it is
    **{"getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173), "getuid": (102, 174)},
    **{"geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "uname": (63, 160)},
    **{"sysinfo": (99, 179), "getrlimit": (97, 163), "prlimit64": (302, 261)},
    **{"sched_getaffinity": (204, 123), "getrandom": (318, 278)},
    # handlers of signals, and the end
    **{"rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139)},
    **{"sigaltstack": (131, 132), "exit": (60, 93), "exit_group": (231, 94)},
}
_TERMINAL = 0x5401  # TCGETS: whether a file is a terminal, as `open` asks
_DESCRIPTORS = (0, 1, 2, 3, 1030)  # of fcntl: to copy one, and to read and set its flags
_CLOCKS = range(16)  # greater ones are those of other processes


@dataclass(frozen=True)
class _Narrow:
    """A restriction of one argument of a system call: to a few values (of 32 bits), to those
    below the end of a range, or to a null pointer."""

    argument: int
    values: Sequence[int] = ()


NARROW: dict[str, tuple[_Narrow, ...]] = {
    "ioctl": (_Narrow(1, (_TERMINAL,)),),
    "fcntl": (_Narrow(1, _DESCRIPTORS),),
    "clock_gettime": (_Narrow(0, _CLOCKS),),
    "clock_getres": (_Narrow(0, _CLOCKS),),
    "clock_nanosleep": (_Narrow(0, _CLOCKS),),
    "sched_getaffinity": (_Narrow(0, (0,)),),
    "prlimit64": (_Narrow(0, (0,)), _Narrow(2)),  # its own limits, and to read them
}


def missing() -> str:
    """Return why no filter can be installed on this machine; empty where one can."""
    found = ARCHITECTURES.get(os.uname().machine)
    if found is None:
        known = " and ".join(ARCHITECTURES)
        return f"the system calls of {os.uname().machine} are not known, only those of {known}"
    action = ctypes.c_uint32(_ERRNO)
    if _libc().syscall(found.seccomp, _IS_THERE, 0, ctypes.byref(action)) != 0:
        return f"this kernel has no seccomp filters ({os.strerror(ctypes.get_errno())})"
    return ""


def confine_calls() -> None:
    """Installs the filter in all threads, irrevocably. Raises OSError, KeyError."""
    found = ARCHITECTURES[os.uname().machine]
    made = program(found)
    raw = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in made))
    described = struct.pack("HP", len(made), ctypes.addressof(raw))
    libc = _libc()
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
    if libc.syscall(found.seccomp, _SET_FILTER, _ALL_THREADS, described) != 0:
        raise OSError(ctypes.get_errno(), "the filter of system calls cannot be installed")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def program(of: Architecture) -> list[_Instruction]:
    """Return the filter's instructions. Calls of other architectures, or of another numbering,
    are refused."""
    made = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, of.token),
        (_RETURN, 0, 0, _REFUSED),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _NEWER),
        (_RETURN, 0, 0, _UNKNOWN),
    ]
    for name, numbers in CALLS.items():
        number = numbers[of.column]
        if number is not None:
            allowed = [*_looked_at(NARROW.get(name, ())), (_RETURN, 0, 0, _ALLOW)]
            made += [(_EQUAL, 0, len(allowed), number), *allowed]
    return [*made, (_RETURN, 0, 0, _REFUSED)]


def _looked_at(arguments: Sequence[_Narrow]) -> list[_Instruction]:
    made: list[_Instruction] = []
    for one in arguments:
        at = _ARGUMENTS + 8 * one.argument
        halves: list[tuple[int, Sequence[int]]] = [(at, one.values)]
        if not one.values:
            halves = [(at, (0,)), (at + 4, (0,))]
        for where, values in halves:
            made += [(_LOAD, 0, 0, where), *_one_of(values), (_RETURN, 0, 0, _REFUSED)]
    return made


def _one_of(values: Sequence[int]) -> list[_Instruction]:
    """Return instructions that skip the next one if the loaded value is among these, and run it
    otherwise."""
    if isinstance(values, range):
        return [(_AT_LEAST, 0, 1, values.stop)]
    return [(_EQUAL, len(values) - n, 0, value) for n, value in enumerate(values)]
