"""Traces of real searches as files, on which a mechanism can be tried for admission."""

import json
from pathlib import Path
from typing import Any

from bilevel.errors import BadInput
from bilevel.proposers.llm import LLMProposer
from bilevel.sandbox.wire import pack, unpack
from bilevel.space import Config
from bilevel.trace import Trace
from bilevel.view import View

FOLDER = Path(__file__).parent / "traces"
_TRIALS_LEFT = 20


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def loaded(given: str) -> View:
    """Returns the view from a shipped trace's name or a file's path. Raises BadInput."""
    path = Path(given) if given.endswith(".json") else FOLDER / f"{given}.json"
    try:
        return read(path.read_text())
    except OSError as error:
        raise BadInput(
            f"trace={given}: {error.strerror}; give the path of a .json file or one of: "
            f"{', '.join(names())}"
        ) from None
    except (ValueError, TypeError, KeyError, BadInput) as error:
        raise BadInput(
            f"trace={given} is not a trace as bilevel.admission.shipped.written writes it: "
            f"{type(error).__name__}: {error}"
        ) from None


def written(view: View, about: str) -> str:
    """Returns a loop's space, objective and trials as JSON; `about` says which search it was."""
    data: dict[str, Any] = {
        "about": about,
        "level": view.level,
        "seed": view.seed,
        "objective": pack(view.objective),
        "space": pack(view.space),
        "trials": [pack(trial) for trial in view.trace],
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def read(text: str) -> View:
    """Returns the view from the JSON of `written`. Raises ValueError, TypeError or KeyError for
    other text."""
    data = json.loads(text)
    space = unpack(data["space"])
    trace = Trace(unpack(data["trials"]))
    incumbent = trace.standing[-1] if trace.standing else None
    settings = LLMProposer(space).settings
    return View(
        level=data["level"],
        seed=data["seed"],
        space=space,
        objective=unpack(data["objective"]),
        trace=trace,
        incumbent=incumbent,
        trials_left=_TRIALS_LEFT,
        settings=settings.baseline,
        settings_space=settings,
        render=_render,
        parent=incumbent,
    )


def _render(config: Config) -> str:
    return "".join(f"{name} = {value!r}\n" for name, value in config.items())
