"""Randomness by key: the draws of a component do not depend on those of any other."""

import hashlib
import random

_SEARCH_SEEDS = 2**30


def digest(*parts: object) -> int:
    """Returns a 64-bit integer that depends on every part and on their order."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def keyed(seed: int, *parts: object) -> random.Random:
    """Returns the generator for a key such as (seed, level, trial, purpose)."""
    return random.Random(digest(seed, *parts))


def training_seed(seed: int) -> int:
    """Returns the one training seed of a search, below 2**30."""
    return digest(seed, "training") % _SEARCH_SEEDS


def retest_seed(seed: int, repeat: int) -> int:
    """Returns the training seed of a search's nth re-test, the same for all of its incumbents."""
    drawn = digest(seed, "retest", repeat) % _SEARCH_SEEDS
    return drawn if drawn != training_seed(seed) else (drawn + 1) % _SEARCH_SEEDS


def noise_seed(repeat: int) -> int:
    """Returns a seed at or above 2**31, for measuring the noise of a task's baseline."""
    return 2 * _SEARCH_SEEDS + digest("noise", repeat) % _SEARCH_SEEDS


def confirmation_seed(seed: int, repeat: int) -> int:
    """Returns a seed from 2**30 up to 2**31, which no search draws, for measuring a result
    again."""
    return _SEARCH_SEEDS + digest(seed, "confirmation", repeat) % _SEARCH_SEEDS
