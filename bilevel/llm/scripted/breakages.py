"""The ways in which models break the code they write, done to a sound source on purpose."""

import re
from collections.abc import Callable, Mapping
from random import Random

CHANCE = 0.35  # that a first source is broken
_HOOK = re.compile(
    r"^    def (parent|brief|propose|review|accept|observe)\(self, .*\) -> .*:\n", re.M
)
_FIRST_IMPORT = re.compile(r"^(?:from|import) ", re.M)
_INIT = "    def __init__(self) -> None:\n"
_GIVEN = {"brief": "brief", "propose": "()", "review": "candidates"}


def _syntax_error(source: str, rng: Random) -> str:
    """A line loses its end."""
    heads = list(_HOOK.finditer(source))
    end = rng.choice(heads).end()
    lost = rng.choice((":", ") -> "))
    at = source.rindex(lost, 0, end)
    return source[:at] + source[at + len(lost) :]


def _forbidden_import(source: str, rng: Random) -> str:
    """It wants to know where it runs."""
    asks = {
        "socket": "self.host = socket.gethostname()",
        "subprocess": 'self.revision = subprocess.getoutput("git rev-parse HEAD")',
    }
    module = rng.choice(sorted(asks))
    return _with_import(_in_init(source, asks[module]), module)


def _no_hook(source: str, rng: Random) -> str:
    """The hooks have names that nobody calls."""
    prefix = rng.choice(("on", "before", "do"))
    return _HOOK.sub(lambda head: head[0].replace("def ", f"def {prefix}_", 1), source)


def _dead_code(source: str, rng: Random) -> str:
    """Every hook waits for more trials than a search has."""
    least = rng.choice((10_000, 100_000))

    def waiting(head: re.Match[str]) -> str:
        given = _GIVEN.get(head[1], "None")
        return f"{head[0]}        if view.trial < {least}:\n            return {given}\n"

    return _HOOK.sub(waiting, source)


def _infinite_loop(source: str, rng: Random) -> str:
    """A counter that stands still at the first trial that was not kept."""
    body = (
        "        place = 0\n"
        "        while place < len(view.trace):\n"
        "            if view.trace[place].kept:\n"
        "                place += 1\n"
    )
    return _at_a_hook(source, body, rng)


def _no_incumbent(source: str, rng: Random) -> str:
    """Believes that there always is an incumbent: an AttributeError on an empty trace."""
    body = "        if view.incumbent.value is None:\n            return {given}\n"
    return _at_a_hook(source, body, rng)


def _hidden_state(source: str, rng: Random) -> str:
    """Keeps what cannot be written down."""
    kept = (
        "self.score = lambda trial: trial.value or 0.0",
        "self.turns = (turn for turn in range(1000))",
    )
    return _in_init(source, rng.choice(kept))


def _unseeded(source: str, rng: Random) -> str:
    """Draws from the process's own generator."""
    return _with_import(source.replace("view.rng", "random"), "random")


BREAKAGES: Mapping[str, Callable[[str, Random], str]] = {
    made.__name__.removeprefix("_"): made
    for made in (
        _syntax_error,
        _forbidden_import,
        _no_hook,
        _dead_code,
        _infinite_loop,
        _no_incumbent,
        _hidden_state,
        _unseeded,
    )
}


def perhaps_broken(source: str, rng: Random) -> str:
    """The source, or in some of the cases one that is broken in one way."""
    if rng.random() >= CHANCE:
        return source
    return rng.choice(list(BREAKAGES.values()))(source, rng)


def _with_import(source: str, module: str) -> str:
    return _FIRST_IMPORT.sub(lambda found: f"import {module}\n{found[0]}", source, count=1)


def _in_init(source: str, line: str) -> str:
    return source.replace(_INIT, f"{_INIT}        {line}\n", 1)


def _at_a_hook(source: str, body: str, rng: Random) -> str:
    head = rng.choice(list(_HOOK.finditer(source)))
    told = body.format(given=_GIVEN.get(head[1], "None"))
    return source[: head.end()] + told + source[head.end() :]
