"""The check of settings before anything is opened or made."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bilevel.errors import ConfigError
from bilevel.loop import rules

GROUPS = (
    "search",
    "rules",
    "task",
    "llm",
    "inner",
    "outer",
    "outer.levels",
    "executor",
    "tracking",
    "sandbox",
)
PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")


def _number(value: object, least: float, most: float = math.inf) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value) and least <= value <= most  # type: ignore[arg-type,operator]


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_layer(value: object) -> bool:
    from bilevel.sandbox.worker_handle import LAYERS  # --help does without

    return value in LAYERS


Rule = tuple[Callable[[Any], bool], str]
SWITCH: Rule = (lambda v: isinstance(v, bool), "true or false")
TEXT: Rule = (lambda v: isinstance(v, str) and bool(v), "some text")
COUNT: Rule = (lambda v: _whole(v, 1), "a whole number of at least 1")
SEED: Rule = (lambda v: _whole(v, 0), "a whole number of at least 0")
COUNT_OR_NONE: Rule = (lambda v: v is None or _whole(v, 0), "a whole number, or null")
SECONDS: Rule = (lambda v: _number(v, 1e-6), "a positive number of seconds")
AMOUNT: Rule = (lambda v: _number(v, 0), "a number of at least 0")
LEVEL: Rule = (lambda v: _number(v, 1) and v > 1, "a number above 1")
WARMTH: Rule = (lambda v: v is None or _number(v, 0, 2), "a number in [0, 2]")
SPREAD: Rule = (lambda v: v is None or _number(v, 0), "a number of at least 0, or null")
VARIABLE: Rule = (
    lambda v: v is None or (isinstance(v, str) and bool(re.fullmatch(r"[A-Z_][A-Z0-9_]*", v))),
    "the name of an environment variable (never the key itself)",
)
PATH: Rule = (
    lambda v: isinstance(v, str) and v not in {"", "???"},
    "a path: give it on the command line or in a file under conf/",
)
CHECKOUT: Rule = (
    PATH[0],
    "the folder of a checkout, or its path in the environment variable AUTORESEARCH",
)
FACTOR: Rule = (lambda v: _number(v, 1e-6), "a positive number")
CONTEXT: Rule = (lambda v: v in ("interface", "source"), "interface or source")
LAYER: Rule = (_is_layer, "one of confined, sandlock, bwrap, unsafe")
WORDS: Rule = (
    lambda v: isinstance(v, list) and all(isinstance(w, str) and w for w in v),
    "a list of names, as in [one,two]",
)
COMMAND: Rule = (
    lambda v: isinstance(v, list) and bool(v) and all(isinstance(w, str | int | float) for w in v),
    "a command as a list of words, as in ['{python}','{script}']",
)
VARIABLES: Rule = (
    lambda v: isinstance(v, list) and all(n is not None and VARIABLE[0](n) for n in v),
    "a list of names of environment variables (never their values)",
)
PATTERN: Rule = (lambda v: v is None or TEXT[0](v), "a regular expression with one group, or null")
DIRECTION: Rule = (lambda v: v in ("minimize", "maximize"), "minimize or maximize")
PARAMETERS: Rule = (
    lambda v: isinstance(v, Mapping) and bool(v),
    "at least one parameter to search, in a file under conf/ or, on the command line, as in "
    "'+task.parameters.RATE={type: float, low: 0.0, high: 1.0}'",
)
SHA256: Rule = (
    lambda v: v is None or (isinstance(v, str) and bool(re.fullmatch(r"[0-9a-f]{64}", v))),
    "a sha256 in hexadecimal, or null",
)
NAME: Rule = (
    lambda v: isinstance(v, str) and bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", v)),
    "at most 100 letters, digits, '_', '.', '-', and no space",
)


def _one_of(*choices: str) -> Rule:
    return lambda v: v in choices, f"one of {', '.join(choices)}"


RULES: Mapping[str, Rule] = {
    "study": NAME,
    "arm": NAME,
    "seed": SEED,
    "fresh": SWITCH,
    "mend": SWITCH,
    "dry_run": SWITCH,
    "results": TEXT,
    "search.trials": COUNT,
    "search.confirm_seeds": SEED,
    "task.name": NAME,
    "task.cache": SWITCH,
    "task.budget_s": SECONDS,
    "task.limit_s": SECONDS,
    "task.noise_sd": SPREAD,
    "task.file": PATH,
    "task.checkout": CHECKOUT,
    "task.command": COMMAND,
    "task.metric": TEXT,
    "task.metric_pattern": PATTERN,
    "task.direction": DIRECTION,
    "task.parameters": PARAMETERS,
    "task.locked": WORDS,
    "task.seed_calls": WORDS,
    "task.seed_names": WORDS,
    "task.seed_variable": VARIABLE,
    "task.files": WORDS,
    "task.links": WORDS,
    "task.environment": VARIABLES,
    "task.prepare_sha256": SHA256,
    "task.cpu_factor": FACTOR,
    "task.memory_mib": COUNT,
    "llm.api_key_env": VARIABLE,
    "llm.timeout_s": SECONDS,
    "llm.temperature": WARMTH,
    "llm.max_attempts": COUNT,
    "llm.max_unusable": COUNT_OR_NONE,
    "llm.price_per_mtok_in": AMOUNT,
    "llm.price_per_mtok_out": AMOUNT,
    "acceptance.sd": SPREAD,
    "acceptance.threshold_sds": AMOUNT,
    "acceptance.lucky_sds": AMOUNT,
    "acceptance.retests": SEED,
    "inner.batch": COUNT,
    "inner.probation": COUNT,
    "executor.workers": COUNT,
    "executor.address": TEXT,
    "executor.cpus": AMOUNT,
    "executor.gpus": AMOUNT,
    "executor.start_s": SECONDS,
    "without": WORDS,
    "rules.live": _one_of(*rules.LIVE),
    "rules.turn": _one_of(*rules.TURN),
    "sandbox.layer": LAYER,
    "task.layer": LAYER,
    "sandbox.call_s": SECONDS,
    "sandbox.start_s": SECONDS,
    "sandbox.memory_mib": COUNT,
    "sandbox.asks": SEED,
    "outer.context": CONTEXT,
    "outer.levels.*.level": LEVEL,
    "outer.levels.*.every": COUNT,
    "outer.levels.*.proposer.context": CONTEXT,
}
SECRET = {"llm.api_key_env", "task.environment"}
NOT_WHERE_DRY = {"task.checkout"}  # what it costs is told without it


def check(settings: Mapping[str, Any]) -> None:
    """Raises ConfigError that names the first wrong key, its value and what was expected."""
    for group in GROUPS:
        found = dict(_found(settings, group.split("."), "")).get(group)
        if not isinstance(found, Mapping):
            raise ConfigError(f"{group}={found!r}: expected a group of settings, not a value")
    left_out = not_given(settings) if settings.get("dry_run") is True else ()
    for pattern in [pattern for pattern in RULES if pattern not in left_out]:
        legal, expected = RULES[pattern]
        for key, value in _found(settings, pattern.split("."), ""):
            if not legal(value):
                shown = "(hidden)" if key in SECRET else repr(value)
                raise ConfigError(f"{key}={shown}: expected {expected}")
    for part in ("proposer", "acceptance"):
        if not isinstance(settings["inner"].get(part), Mapping):
            raise ConfigError(f"inner.{part} is missing; choose one with inner=... or baseline=...")
    levels = [1.0, *(spec["level"] for spec in settings["outer"]["levels"].values())]
    if levels != sorted(set(levels)):
        raise ConfigError(f"outer.levels have levels {levels[1:]}: expected them to rise")


def not_given(settings: Mapping[str, Any]) -> list[str]:
    """What a plan does without, and is not given here."""
    return [
        key
        for key in NOT_WHERE_DRY
        for _, value in _found(settings, key.split("."), "")
        if value in (None, "", "???")
    ]


def without_passwords(value: Any) -> Any:
    """The settings as they may be written down: user names and passwords in URLs are masked."""
    if isinstance(value, Mapping):
        return {key: without_passwords(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_passwords(part) for part in value]
    return PASSWORD.sub("***@", value) if isinstance(value, str) else value


def _found(node: Any, names: list[str], prefix: str) -> Iterator[tuple[str, Any]]:
    """The values under a dotted name that are there, `*` standing for any one name."""
    if not names:
        yield prefix.removesuffix("."), node
    elif isinstance(node, Mapping):
        for name in node if names[0] == "*" else [names[0]]:
            if name in node:
                yield from _found(node[name], names[1:], f"{prefix}{name}.")
