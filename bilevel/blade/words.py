"""What methods of IOH-BLADE are told: the task in the words of `discover`, and how a text did."""

import re
from pathlib import Path

from bilevel.discovery.accounts import MECHANISM, incumbent
from bilevel.discovery.cells import level, paired, read
from bilevel.discovery.discoverer import JUDGED
from bilevel.discovery.suite import Suite
from bilevel.levels.asking_freely import parts, system
from bilevel.levels.context import INTERFACE
from bilevel.levels.writing import Writer
from bilevel.llm import prompts
from bilevel.llm.tables import experiment
from bilevel.loop.rules import TAKE_TURNS
from bilevel.sandbox.worker_handle import Limits
from bilevel.trace import Objective, Trace, Trial
from bilevel.view import NO_SETTINGS, View

_OF_A_SEARCH = ("What stands now", "What was tried before", "Your task")
"""The sections of `discover` that a method of BLADE has its own words for."""


def task(suite: Suite) -> str:
    """The protocol, the platform's interface, and the rules for a text."""
    told = system(JUDGED)
    writer = Writer(
        Limits(), repairs=0, temperature=None, turn=TAKE_TURNS, context=INTERFACE, system=told
    )
    values = {
        **parts(writer),
        "facts": experiment(suite.describe(), source=False),
        **dict.fromkeys(("incumbent", "tried", "wanted"), prompts.NONE),
    }
    sections = re.split(r"^(?=## )", prompts.render_of("discover", values), flags=re.MULTILINE)
    shown = [s for s in sections if not s.removeprefix("## ").startswith(_OF_A_SEARCH)]
    return f"{told}\n{''.join(shown)}"


def reply() -> str:
    """How to answer so that BLADE finds text and description."""
    return f"\n{prompts.Prompt(Path(__file__).with_name('reply.md')).render()}"


def feedback(trial: Trial, none: Trial, best: Trial) -> str:
    """How far this text goes, in all and on every task, against no mechanism and, paired, against
    the best text before it. Tasks have numbers, for names would be something to fit to."""
    source = str(trial.config[MECHANISM])
    told = incumbent(_standing(trial, none)).removesuffix(prompts.fenced(source, "python")).strip()
    cells, before = read(trial.outcome.notes), read(best.outcome.notes)
    lines = [told]
    if best.number != none.number:
        lines.append(
            f"The best text before had a gain of {level(before).mean:.3f}; this one is "
            f"{paired(cells, before)} against it."
        )
    if trial.outcome.metrics["stopped_early"]:
        rival = "no mechanism" if best.number == none.number else "the best text before"
        lines.append(
            f"It was behind {rival}, and stopped after {len(cells)} of {len(before)} searches; its "
            f"score, {trial.value:.3f}, is the other's gain and the difference so far."
        )
    return "\n\n".join(lines)


def _standing(trial: Trial, none: Trial) -> View:
    """The picture of a search in which this trial stands."""
    return View(
        level=1,
        seed=trial.seed,
        space=NO_SETTINGS,
        objective=Objective("gain", "maximize"),
        trace=Trace([none]),
        incumbent=trial,
        trials_left=None,
        settings={},
        settings_space=NO_SETTINGS,
        render=str,
    )
