"""One cache a machine: an outcome that was measured once is not measured again."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from bilevel.space import canonical
from bilevel.trace import FailureKind, Outcome

logger = logging.getLogger(__name__)
_SETTLED = {None, FailureKind.DIVERGENCE}  # a crash or a timeout may end otherwise another time


def _cache_root() -> Path:
    """Return the user's cache folder for this project; the variable BILEVEL_CACHE moves it."""
    named = os.environ.get("BILEVEL_CACHE")
    return Path(named) if named else user_cache_path("bilevel")


class OutcomeCache:
    """A cache of outcomes, keyed by the content of everything that decides them: script,
    evaluator, data, effective configuration, seed, budget and numerics."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = (root or _cache_root()) / "outcomes"
        self._told = False

    def get(self, identity: Mapping[str, Any]) -> Outcome | None:
        """Return the outcome, marked as cached and with no time spent; None for a missing or
        damaged entry."""
        try:
            outcome = Outcome.from_json(json.loads(self._place(identity).read_text()))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        except OSError as error:
            self._tell("read", error)
            return None
        return replace(outcome, clock={"wall_s": 0.0, "cached": 1.0})

    def put(self, identity: Mapping[str, Any], outcome: Outcome) -> None:
        """Writes an outcome atomically, so that two searches can write at once; a cache that
        cannot be written only gives a warning."""
        kind = outcome.failure.kind if outcome.failure else None
        if kind not in _SETTLED:
            return
        place = self._place(identity)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(place, json.dumps(outcome.to_json()))
        except OSError as error:
            self._tell("written", error)

    def _tell(self, verb: str, error: OSError) -> None:
        if not self._told:
            logger.warning(
                "the cache of outcomes cannot be %s (%s); the search goes on without it. Free "
                "space or name another folder in BILEVEL_CACHE",
                verb,
                error,
            )
        self._told = True

    def _place(self, identity: Mapping[str, Any]) -> Path:
        name = hashlib.sha256(canonical(identity).encode()).hexdigest()
        return self._root / name[:2] / f"{name}.json"


def _write_whole(place: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False) as file:
        written = Path(file.name)
        try:
            file.write(text)
            file.flush()
            written.replace(place)
        except OSError:
            written.unlink(missing_ok=True)
            raise
