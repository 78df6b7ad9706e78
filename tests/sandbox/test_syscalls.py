"""Whatever is not on the list of system calls is refused: by the program, and by the kernel."""

import errno
import json
import os
import platform
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from bilevel.sandbox import syscalls
from bilevel.sandbox.confined_mechanism import confine
from bilevel.sandbox.syscalls import ARCHITECTURES, CALLS, NARROW, Architecture, program
from bilevel.sandbox.worker_handle import CONFINING, Limits, missing
from tests.helpers import loop

ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x50001, 0x50026
X32 = 0x40000000
LAST = 600  # beyond what any kernel has today
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
OWN = ARCHITECTURES.get(platform.machine(), ARCHITECTURES["x86_64"])


def decided(of: Architecture, number: int, *arguments: int, token: int | None = None) -> int:
    """What the program says of a call, as the kernel would run it."""
    words = {0: number, 4: of.token if token is None else token}
    for n in range(6):
        argument = arguments[n] if n < len(arguments) else 0
        words[16 + 8 * n] = argument & 0xFFFFFFFF
        words[20 + 8 * n] = argument >> 32 & 0xFFFFFFFF
    made, at, loaded = program(of), 0, 0
    while True:
        code, when, otherwise, value = made[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            loaded = words[value]
        else:
            holds = loaded == value if code == 0x15 else loaded >= value
            at += when if holds else otherwise


@pytest.mark.parametrize("of", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_the_program_allows_the_list_and_nothing_else(of: Architecture) -> None:
    numbers = {n[of.column]: name for name, n in CALLS.items() if n[of.column] is not None}
    assert len(program(of)) < 4096
    for number in [0xFFFFFFFF, *range(2000), *range(X32, X32 + LAST)]:
        name = numbers.get(number)
        if name is None:
            assert decided(of, number) in {EPERM, ENOSYS}, number
        elif name not in NARROW:
            assert decided(of, number, *[2**64 - 1] * 6) == ALLOW, name
        assert decided(of, number, token=0x40000003) == EPERM  # of 32 bits


@pytest.mark.parametrize("of", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_some_calls_are_allowed_in_one_form_only(of: Architecture) -> None:
    def of_name(name: str, *arguments: int) -> int:
        number = CALLS[name][of.column]
        assert number is not None
        return decided(of, number, *arguments)

    assert of_name("prlimit64", 0, 7, 0, 1 << 40) == ALLOW
    assert of_name("prlimit64", 1, 7, 0, 1 << 40) == EPERM  # somebody else's
    for pointer in (1, 1 << 40, 1 << 63):
        assert of_name("prlimit64", 0, 7, pointer, 0) == EPERM  # new ones
    assert of_name("clock_gettime", 0) == of_name("clock_gettime", 15) == ALLOW
    assert of_name("clock_gettime", 16) == EPERM
    assert of_name("clock_gettime", ~1234 << 3 | 2) == EPERM  # another process's
    assert of_name("sched_getaffinity", 0) == ALLOW
    assert of_name("sched_getaffinity", 1234) == EPERM
    assert [c for c in range(2000) if of_name("fcntl", 0, c) == ALLOW] == [0, 1, 2, 3, 1030]
    assert [c for c in range(0x6000) if of_name("ioctl", 0, c) == ALLOW] == [0x5401]


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_numbers_are_the_kernel_s(machine: str) -> None:
    header = HEADERS[machine]
    if not header.exists():
        pytest.skip(f"{header} is not here")
    found = {
        name.removeprefix("3264_"): int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    }
    column = ARCHITECTURES[machine].column
    own = {name: n[column] for name, n in CALLS.items() if n[column] is not None}
    if machine == "aarch64":
        found["newfstatat"] = found["fstatat"]
    assert own == {name: found[name] for name in own}


def test_an_unknown_architecture_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*found[:4], "riscv64")))
    missing.cache_clear()
    try:
        for layer in CONFINING:
            assert "riscv64 are not known, only those of x86_64 and aarch64" in missing(layer)
        with pytest.raises(KeyError):
            syscalls.confine_calls()
    finally:
        missing.cache_clear()


WALK = """
import ctypes
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal

def walked(numbers):
    call, found = ctypes.CDLL(None, use_errno=True).syscall, {{}}
    for number in numbers:
        ctypes.set_errno(0)
        answer = call(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
        found[str(number)] = ctypes.get_errno() if answer == -1 else 0
    return found

class Walker(Mechanism):
    name = "walker"
    def propose(self, view):
        return [Proposal({{"found": walked({numbers!r})}})]
"""
# the kernel's own probes jump here: no filter is asked, and whoever else comes gets a SIGILL
PROBES = {"x86_64": {335, 336}}.get(platform.machine(), set())
# what the control must not do: these end, stop or copy a process whatever they are given
BLUNT = {"x86_64": {15, 34, 57, 58, 60, 130, 153, 162, 231}, "aarch64": {58, 81, 93, 94, 133, 139}}


def others() -> list[int]:
    own = {n[OWN.column] for n in CALLS.values()}
    narrow = {CALLS[name][OWN.column] for name in NARROW}  # with -1 nothing of it is allowed
    return [n for n in range(LAST) if (n not in own or n in narrow) and n not in PROBES]


def answers(layer: str, numbers: list[int]) -> tuple[dict[str, int], str]:
    """The error of each call, and what /proc says of the worker."""
    with confine(WALK.format(numbers=numbers), limits=Limits(layer, call_s=20)) as walker:
        found: Any = walker.propose(loop({}).view())[0].changes["found"]
        (*_, worker) = walker.worker.processes()
        return found, Path(f"/proc/{worker}/status").read_text()


def test_the_kernel_refuses_every_other_call(layer: str) -> None:
    found, status = answers(layer, others())
    assert len(found) > 500
    assert {n: e for n, e in found.items() if e not in {errno.EPERM, errno.ENOSYS}} == {}
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status


def test_without_the_filter_most_of_them_are_not_refused() -> None:
    numbers = [n for n in others() if n not in BLUNT[platform.machine()] and n < 335]
    names: dict[str, Any] = {}
    exec(WALK.format(numbers=[]), names)
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(20)
        os.write(writes, json.dumps(names["walked"](numbers)).encode())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(writes)
    with os.fdopen(reads) as told:
        found: dict[str, int] = json.loads(told.read())
    refused = {n for n, e in found.items() if e in {errno.EPERM, errno.ENOSYS}}
    assert len(refused) < len(found) / 2


def test_numbers_of_another_kind_are_no_way_around(layer: str) -> None:
    assert answers(layer, [2**32 + 39])[0] == {str(2**32 + 39): 0}  # getpid: 32 bits are read
    for number in (X32, X32 | 39, X32 | 520, 2**31 - 1):
        assert answers(layer, [number])[0][str(number)] in {errno.ENOSYS, errno.EPERM}


# getpid by the door of 32-bit programs: push rbx; mov eax, 20; int 0x80; pop rbx; ret
OTHER_DOOR = """
import ctypes, mmap
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal

def asked():
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex("53b814000000cd805bc3"))
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()

class Mine(Mechanism):
    name = "mine"
    def propose(self, view):
        return [Proposal({"said": asked()})]
"""


def there_is_another_door() -> bool:
    names: dict[str, Any] = {}
    exec(OTHER_DOOR, names)
    child = os.fork()
    if not child:
        os._exit(names["asked"]() != os.getpid())
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="there is one door only")
def test_the_door_of_32_bit_programs_is_shut(layer: str) -> None:
    if not there_is_another_door():
        pytest.skip("this kernel runs no 32-bit programs")
    with confine(OTHER_DOOR, limits=Limits(layer)) as mine:
        assert mine.propose(loop({}).view())[0].changes["said"] == -errno.EPERM
