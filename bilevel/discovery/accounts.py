"""What a search of mechanisms has found so far, as whoever writes the next one reads it."""

from collections.abc import Sequence

from bilevel.discovery.cells import Difference, level, means, paired, read, spreads
from bilevel.llm import prompts
from bilevel.trace import Trial
from bilevel.view import View

MECHANISM = "MECHANISM"
"""The one parameter of the space: a mechanism's text, empty for none."""
_SHOWN = 12  # trials, the latest ones


def named(trial: Trial) -> str:
    made = trial.proposal.mechanism
    return f"trial {trial.number}" + (f" ({made.name})" if made and made.name else "")


def incumbent(view: View) -> str:
    """The text of the incumbent, how far it goes on every task, and how far the arm goes alone."""
    now = view.incumbent
    if now is None:
        return "Nothing yet."
    none = read(view.trace[0].outcome.notes)
    alone = f"The arm without a mechanism has a gain of {_gain(level(none))}."
    source = str(now.config[MECHANISM])
    if not source:
        return f"No mechanism: the arm alone. {alone}\n\n{_tasks(now, view.trace[0])}"
    ahead = paired(read(now.outcome.notes), none)
    return (
        f"{named(now)}: {' '.join(now.proposal.hypothesis.split())}\nIts gain is "
        f"{_gain(level(read(now.outcome.notes)))}, {ahead} against none. {alone} {_cost(now)}\n\n"
        f"{_tasks(now, view.trace[0])}\n\n{prompts.fenced(source, 'python')}"
    )


def texts(view: View, trials: Sequence[Trial]) -> str:
    """Each of these texts, with what it does and how far it goes."""
    none = read(view.trace[0].outcome.notes)
    lines = [f"The arm without a mechanism has a gain of {_gain(level(none))}."]
    for trial in trials:
        cells = read(trial.outcome.notes)
        lines.append(
            f"{named(trial)}: {' '.join(trial.proposal.hypothesis.split())}\nIts gain is "
            f"{_gain(level(cells))}, {paired(cells, none)} against none. {_cost(trial)}\n\n"
            f"{prompts.fenced(str(trial.config[MECHANISM]), 'python')}"
        )
    return "\n\n".join(lines)


def tried(view: View, *, scores: bool) -> str:
    """A line a trial, the latest ones: against the incumbent, paired, or what the gates said."""
    lines = [_line(view, trial, scores) for trial in view.trace[1:][-_SHOWN:]]
    return "\n".join(lines) or "Nothing yet."


def _line(view: View, trial: Trial, scores: bool) -> str:
    idea = prompts.cell(trial.proposal.hypothesis, 300)
    said = f"- {named(trial)}: {idea}"
    failure = trial.outcome.failure
    if failure is not None:
        return f"{said} -> {prompts.cell(failure.detail, 600)}"
    if not scores:
        return f"{said} -> passed the gates"
    assert view.incumbent is not None  # the baseline has a value
    if trial.number == view.incumbent.number:
        return f"{said} -> the incumbent. {_cost(trial)}"
    cells = read(trial.outcome.notes)
    against = paired(cells, read(view.incumbent.outcome.notes))
    early = trial.outcome.metrics.get("stopped_early")
    stopped = f", stopped after {len(cells)} searches" if early else ""
    return f"{said} -> {against} against the incumbent{stopped}. {_cost(trial)}"


def _cost(trial: Trial) -> str:
    """Who decided, and what went wrong; no time, which is another one whenever it is measured."""
    found, cells = trial.outcome.metrics, read(trial.outcome.notes)
    said = [f"It decided {found['taken']:.0%} of the trials"]
    if found["failed_trials"]:
        said.append(f"{found['failed_trials'] / len(cells):.1f} trials a search had no value")
    if found["hook_errors"]:
        said.append(f"{found['hook_errors']:.0f} hook calls raised")
    if found.get("cut_short"):
        said.append(f"{found['cut_short']:.0f} searches ended early, at a cap of their model")
    if found["over_hook_limit"]:
        said.append(f"{found['over_hook_limit']:.0f} searches went on without it: too slow")
    return ", ".join(said) + "."


def _tasks(now: Trial, none: Trial) -> str:
    """A table: for every task the gain without, the gain with, and its spread over seeds."""
    without, cells = means(read(none.outcome.notes)), read(now.outcome.notes)
    spread = spreads(cells)
    rows = [
        f"| {number} | {without[task]:.2f} | {gain:.2f} | {spread[task]:.2f} |"
        for number, (task, gain) in enumerate(means(cells).items(), start=1)
    ]
    head = ["| task | gain without | gain now | spread over seeds |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _gain(found: Difference) -> str:
    return f"{found.mean:.3f} ± {found.se:.3f}"
