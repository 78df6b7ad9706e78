"""What hostile code would try; each returns a text that starts with REACHED where it got through.

`python -m tests.sandbox.attacks LAYER SECRET_FILE PORT` tries them all as whoever runs it.
"""

import json
import os
import sys
from typing import Any

from bilevel.sandbox.confined_mechanism import confine
from bilevel.sandbox.failures import SandboxUnavailable
from bilevel.sandbox.worker_handle import Limits
from tests.helpers import loop

HEAD = """
import ctypes, os, signal, socket, subprocess, sys, threading, time
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal
libc = ctypes.CDLL(None, use_errno=True)
SECRET, PORT, HOST = {secret!r}, {port!r}, {host!r}

{functions}

class Hostile(Mechanism):
    name = "hostile"
    def propose(self, view):
        return [Proposal({{"attack": name}}, hypothesis=tried(attack)) for name, attack in ALL]

def tried(attack):
    try:
        return "REACHED " + repr(attack())
    except (OSError, AssertionError, RuntimeError) as error:
        return f"stopped by {{type(error).__name__}} {{error}}"
"""

ATTACKS = {
    "read a secret": "return open(SECRET).read()",
    "read /etc/passwd": "return open('/etc/passwd').read()[:20]",
    "read the project": "return open('{project}').read()[:20]",
    "list the root": "assert 'proc' in os.listdir('/')",
    "list a folder": "return os.listdir(os.path.dirname(SECRET))",
    "write beside the secret": "return open(SECRET + '.x', 'w').write('x')",
    "write at the root": "return open('/tmp/bilevel_attack', 'w').write('x')",
    "remove the secret's twin": "return os.unlink(SECRET + '.twin')",
    "change a file's mode": "return os.chmod(SECRET, 0o777)",
    "change a file's times": "return os.utime(SECRET, (0, 0))",
    "the parent's environment": "return open(f'/proc/{os.getppid()}/environ').read()[:9]",
    "the search's environment": "return open(f'/proc/{HOST}/environ').read()[:9]",
    "its own /proc": "return open('/proc/self/environ').read()[:9]",
    "the search's memory": "return open(f'/proc/{HOST}/mem', 'rb').fileno()",
    "a TCP connection": "return socket.create_connection(('127.0.0.1', PORT), 1).fileno()",
    "a TCP server": "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); return 1",
    "a UDP packet": (
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        "return s.sendto(b'x', ('127.0.0.1', PORT))"
    ),
    "a unix socket": "s = socket.socket(socket.AF_UNIX); s.connect(SECRET + '.sock'); return 1",
    "an abstract socket": (
        "s = socket.socket(socket.AF_UNIX); s.connect('\\0' + SECRET); return 1"
    ),
    "a subprocess": "return subprocess.run(['/bin/echo', 'x'], check=True).returncode",
    "a fork": "pid = os.fork()\n    if not pid: os._exit(0)\n    return os.waitpid(pid, 0)",
    "another program": (
        "assert libc.vfork is not None and libc.posix_spawn(ctypes.byref(ctypes.c_int()), "
        "b'/bin/true', None, None, (ctypes.c_char_p * 2)(b'true', None), None) == 0; return 1"
    ),
    "a shell": "assert os.system('true') == 0",
    "a signal to the search": "return os.kill(HOST, 0)",
    "a signal to its keeper": "assert os.getppid() > 1; return os.kill(os.getppid(), 0)",
    "ptrace by ctypes": (
        "assert libc.ptrace(16, HOST, 0, 0) == 0; return libc.ptrace(17, HOST, 0, 0)"
    ),
    "open by a bare system call": (
        "fd = libc.open(SECRET.encode(), 0); assert fd >= 0; return os.read(fd, 9)"
    ),
    "a thread": "return threading.Thread(target=int).start()",
    "a timer": "return signal.setitimer(signal.ITIMER_REAL, 600)",
    "a pair of sockets": "return [one.fileno() for one in socket.socketpair()]",
    "a pipe": "return os.pipe()",
    "memory without a name": "return os.memfd_create('x')",
    "shared memory": (
        "made = libc.shmget(0, 4096, 0o1600); assert made >= 0; return libc.shmctl(made, 0, None)"
    ),
    "a filter of its own": "assert libc.prctl(22, 2, b'x') == 0 or libc.prctl(38, 1, 0, 0, 0) == 0",
    "another processor for itself": "return os.sched_setaffinity(0, {0})",
    "more memory for itself": (
        "import resource\n"
        "    try: resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\n"
        "    except ValueError as error: raise OSError(str(error))"
    ),
}


def source(secret: str, port: int, host: int) -> str:
    names = {name: f"attack_{n}" for n, name in enumerate(ATTACKS)}
    functions = "".join(
        f"def {names[name]}():\n    {body.replace('{project}', __file__)}\n"
        for name, body in ATTACKS.items()
    )
    listed = ", ".join(f"({name!r}, {function})" for name, function in names.items())
    return HEAD.format(secret=secret, port=port, host=host, functions=functions) + (
        f"ALL = [{listed}]\n"
    )


def tried(layer: str, secret: str, port: int, host: int) -> dict[str, str]:
    """What became of each attack; `none` runs them in this very process."""
    text = source(secret, port, host)
    view = loop({}).view()
    if layer == "none":
        names: dict[str, Any] = {}
        exec(text, names)
        made = names["Hostile"]().propose(view)
    else:
        with confine(text, limits=Limits(layer, call_s=30)) as hostile:
            made = hostile.propose(view)
    return {str(one.changes["attack"]): one.hypothesis for one in made}


if __name__ == "__main__":
    where, beside, at, whose = sys.argv[1:]
    try:
        print("\n", json.dumps(tried(where, beside, int(at), int(whose) or os.getpid())))
    except SandboxUnavailable as error:
        print("\n", json.dumps({"unavailable": str(error)}))
