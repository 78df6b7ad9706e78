"""Strict JSON: no NaN, no infinity, and no numeral that takes long to read."""

import json
import math
from typing import Any, NoReturn

_MAX_NUMERAL = 400  # digits
_SHOWN_CHARS = 40


def decoder(
    refused: type[ValueError] = ValueError, *, longest: int = _MAX_NUMERAL, unique: bool = False
) -> json.JSONDecoder:
    """Returns a decoder that raises `refused` for anything but strict JSON, in words for its
    author; with `unique`, for a name that occurs twice in one object too."""

    def constant(name: str) -> NoReturn:
        raise refused(f"{name} is not JSON; use a finite number")

    def finite(numeral: str) -> float:
        number = float(numeral)
        if not math.isfinite(number):
            raise refused(f"the number {numeral[:_SHOWN_CHARS]} is too large")
        return number

    def whole(numeral: str) -> int:
        if len(numeral) > longest:
            raise refused(f"the number {numeral[:_SHOWN_CHARS]}... is too large")
        return int(numeral)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise refused("a name occurs twice in one JSON object")
        return made

    return json.JSONDecoder(
        object_pairs_hook=once if unique else None,
        parse_constant=constant,
        parse_float=finite,
        parse_int=whole,
    )
