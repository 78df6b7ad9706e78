"""Measures a mechanism in the field's unit: AOCC on the MA-BBOB instances of IOH-BLADE.

`python -m bilevel aocc mechanism=NAME [arm=random] [against=cmaes,tpe] [half=training]
[instances=10] [dimension=5] [budget_factor=20] [seeds=3] [llm=scripted] [workers=2]`.

NAME is a file of conf/mechanisms, or the path of a Python file with a generated one, which has to
pass the gates first and runs in the sandbox. It is attached to the arm; the arm alone and those of
`against` stand beside it. A search has budget_factor evaluations for each dimension; published
results of BLADE have 2000, and AOCC at another budget is not comparable with them. Needs the extra
blade. What is measured is kept under results=mlruns, in aocc/.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from bilevel.blade.aocc import TRAINING, Measured, Searcher
from bilevel.commands.transfer import table as drawn
from bilevel.config.command_line import command, console
from bilevel.config.options import options, whole
from bilevel.discovery.transfer import Transfer

_DEFAULTS = {
    "mechanism": "",
    "arm": "random",
    "against": "cmaes,tpe",
    "half": TRAINING,
    "instances": "10",
    "dimension": "5",
    "budget_factor": "20",
    "seeds": "3",
    "llm": "scripted",
    "workers": "2",
    "results": "mlruns",
}
_NUMBERS = ("instances", "dimension", "budget_factor", "seeds", "workers")
_USAGE = "python -m bilevel aocc mechanism=NAME [arm=random] [against=cmaes,tpe] ..."


def aocc(arguments: Sequence[str]) -> tuple[Transfer, Path]:
    """Measures, and keeps what was measured. Raises BadInput, ConfigError."""
    given = {**_DEFAULTS, **options(arguments, _DEFAULTS, ["mechanism"], _USAGE)}
    number = {name: whole(name, given[name]) for name in _NUMBERS}
    how = Measured(given["half"], number["instances"], number["dimension"], number["budget_factor"])
    name = Path(given["mechanism"]).stem
    arms = {f"{given['arm']} + {name}": Searcher(given["arm"], given["mechanism"], given["llm"])}
    for arm in (given["arm"], *filter(None, given["against"].split(","))):
        arms[arm] = Searcher(arm, llm=given["llm"])
    found = how.aocc(list(arms.values()), number["seeds"], number["workers"])
    made_with = {name: given[name] for name in _DEFAULTS if name not in ("results", "workers")}
    made = Transfer(dict(zip(arms, found, strict=True)), made_with)
    path = Path(given["results"]) / "aocc" / f"{name}-{how.half}-d{how.dimension}.json"
    made.save(path)
    return made, path


def main(arguments: Sequence[str]) -> int:
    """Prints the table; returns the exit code a shell sees."""

    def body(arguments: Sequence[str]) -> int:
        made, path = aocc(arguments)
        with_, page = made.made_with, console()
        budget = int(with_["budget_factor"]) * int(with_["dimension"])
        title = (
            f"MA-BBOB as BLADE lists it, {with_['half']}: {with_['instances']} instances, "
            f"{with_['dimension']} dimensions, {with_['seeds']} seeds, {budget} evaluations"
        )
        page.print(drawn(made, title, "AOCC"))
        page.print(
            "Not comparable with AOCC at another budget, and with published ones of BLADE (2000 "
            f"evaluations for each dimension; here {with_['budget_factor']}).",
            highlight=False,
        )
        page.print(f"kept in {path}", soft_wrap=True, markup=False, highlight=False)
        return 0

    return command(arguments, __doc__, _USAGE, body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
