"""What the worker tests run in their workers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = {"warm": ""}


def preload() -> None:
    STATE["warm"] = "warm"


def fail_to_load() -> None:
    raise RuntimeError("cannot load")


def speak(argv: list[str]) -> int:
    print(argv[0], STATE["warm"])
    return int(argv[1])


def fail(argv: list[str]) -> int:
    raise ValueError("on purpose")


def environment(argv: list[str]) -> int:
    print("\n".join(f"{name}={value}" for name, value in os.environ.items()))
    server = Path(f"/proc/{os.getppid()}/environ").read_text()
    print(server)
    return 0


def hang(argv: list[str]) -> int:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
    print(os.getpid(), child.pid)
    time.sleep(99)
    return 0


def leave_a_child(argv: list[str]) -> int:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
    print(child.pid)
    return 0


def leave_a_daemon(argv: list[str]) -> int:
    command = [sys.executable, "-c", "import time; time.sleep(99)"]
    print(subprocess.Popen(command, start_new_session=True).pid)
    return 0


def meet(argv: list[str]) -> int:
    """Waits until as many as `argv[1]` have come to the folder."""
    place, expected = Path(argv[0]), int(argv[1])
    (place / f"here-{os.getpid()}").touch()
    deadline = time.monotonic() + 15
    while len(list(place.glob("here-*"))) < expected:
        if time.monotonic() > deadline:
            return 1
        time.sleep(0.01)
    return 0


def kill_the_server(argv: list[str]) -> int:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(99)
    return 0


def flood(argv: list[str]) -> int:
    """Prints lines of a megabyte, as many as it is told."""
    for number in range(int(argv[0])):
        print(number, "x" * 2**20)
    return 0


def hang_with_a_daemon(argv: list[str]) -> int:
    """Hangs beside a child that has left the group and goes on writing into the folder."""
    code = "import time\nfor n in range(9999): open(f'f{n}', 'w').close(); time.sleep(0.01)"
    print(os.getpid(), subprocess.Popen([sys.executable, "-c", code], start_new_session=True).pid)
    time.sleep(99)
    return 0


def linger() -> None:
    """A preload that takes its time, and says that it has begun."""
    Path(os.environ["BEGUN"]).touch()
    time.sleep(2)
