"""What of a session that screened several candidates goes where in MLflow: metrics and files."""

import json
from collections.abc import Callable, Mapping

from bilevel.invention import Invention
from bilevel.tracking.keys import file_name

_SCORE = "screening/"
_GAIN = "/gain"


def metrics(session: Invention | None) -> dict[str, float]:
    """Returns how many candidates there were and how many were scored, and the score of each as
    `screening/2_NAME/gain` and so on."""
    if session is None or session.screening is None:
        return {}
    scored = [(label, one.score) for label, one in session.screening.labelled() if one.score]
    found = {
        f"{_SCORE}{label}/{name}": value
        for label, score in scored
        for name, value in score.metrics().items()
    }
    return {
        "candidates": float(len(session.screening.candidates)),
        "candidates_scored": float(len(scored)),
        **found,
    }


def gains(found: Mapping[str, float]) -> dict[str, float]:
    """Returns label -> gain of the candidates, from the metrics of a run."""
    return {
        name.removeprefix(_SCORE).removesuffix(_GAIN): value
        for name, value in found.items()
        if name.startswith(_SCORE) and name.endswith(_GAIN)
    }


def files(session: Invention, texts: Callable[[Invention], Mapping[str, str]]) -> dict[str, str]:
    """Returns the files of every candidate, in a folder each: its texts with their verdicts, as
    `texts` makes them, and its score."""
    if session.screening is None:
        return {}
    found: dict[str, str] = {}
    for label, one in session.screening.labelled():
        folder = f"candidates/{file_name(label)}"
        found |= {f"{folder}/{name}": text for name, text in texts(one.made).items()}
        found[f"{folder}/score.json"] = json.dumps(
            {"chosen": one.chosen, "score": one.to_json()["score"]}, indent=1
        )
    return found
