"""Does the half of a suite that is searched tell what comes of the half that is not? Every curated
mechanism on both, attached to one arm: `python -m tests.bench halves`.

Paired differences to the arm alone, with their standard error over tasks, and the rank correlation
of the two halves over mechanisms.
"""

import sys
from collections.abc import Iterator

from scipy.stats import spearmanr
from tqdm import tqdm

from bilevel.config.files import CONF, choices
from bilevel.discovery.cells import Cell, level, paired
from bilevel.discovery.contestant import Contestant
from bilevel.discovery.measuring import Measuring
from bilevel.discovery.members import HALVES, HELD_OUT, TRAINING, members
from bilevel.sandbox.worker_handle import Limits

SUITE, ARM, LLM = "landscapes", "level1", "scripted"
TRIALS, SEEDS, HOOK_LIMIT_S = 30, 1, 60.0
ALONE = "none"


def measured(mechanism: str, half: str) -> tuple[list[Cell], float]:
    """The cells of the arm with a mechanism of conf/mechanisms, and seconds of hook calls."""
    attached = "" if mechanism == ALONE else mechanism
    how = Measuring(Contestant.named(ARM, LLM, TRIALS, attached), Limits(), HOOK_LIMIT_S, 2)
    places = [(m, repeat) for repeat in range(SEEDS) for m in members(SUITE)[half]]
    found = how.cells(places, 1)
    return [cell for cell, _ in found], sum(cost["hook_s"] for _, cost in found)


def markdown() -> Iterator[str]:
    names = [ALONE, *(n for n in choices("mechanisms", [CONF]) if n != ALONE)]
    bar = tqdm([(n, h) for n in names for h in HALVES], disable=not sys.stderr.isatty())
    cells = {place: measured(*place) for place in bar}
    tasks = len({cell.task for cell in cells[ALONE, TRAINING][0]})
    yield (
        f"`{ARM}` (stand-in model: {LLM}) with each mechanism against it alone, `{SUITE}`, {tasks} "
        f"tasks a half, {SEEDS} seeds, {TRIALS} trials; gain, difference ± standard error over "
        "tasks, share of trials taken on the held-out half, hook seconds a search"
    )
    yield ""
    yield "| mechanism | training | held out | held out, difference | taken | hooks, s |"
    yield "|---|---|---|---|---|---|"
    differences: dict[str, list[float]] = {TRAINING: [], HELD_OUT: []}
    for name in names:
        found, hook_s = cells[name, HELD_OUT]
        gains = [level(cells[name, half][0]).mean for half in (TRAINING, HELD_OUT)]
        ahead = {h: paired(cells[name, h][0], cells[ALONE, h][0]) for h in differences}
        taken = sum(cell.taken for cell in found) / len(found)
        yield (
            f"| `{name}` | {gains[0]:.3f} | {gains[1]:.3f} | {ahead[HELD_OUT].mean:+.3f} ± "
            f"{ahead[HELD_OUT].se:.3f} | {taken:.0%} | {hook_s / len(found):.2f} |"
        )
        if name != ALONE:
            for half, difference in ahead.items():
                differences[half].append(difference.mean)
    rho = spearmanr(differences[TRAINING], differences[HELD_OUT])
    yield ""
    yield (
        f"Spearman's rho of the two halves over {len(names) - 1} mechanisms: {rho.statistic:.2f} "
        f"(p = {rho.pvalue:.2g})"
    )
