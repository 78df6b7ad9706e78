"""Runs one composed search to its end, and prints and tracks its results."""

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig

from bilevel.config.checks import check
from bilevel.config.overrides import plain
from bilevel.journal import Recording
from bilevel.loop.activations import Liveness, account
from bilevel.search.build import Summary, begin, opened
from bilevel.search.dry_run import Plan, plan
from bilevel.search.execution import Execution
from bilevel.search.progress import Progress
from bilevel.search.seed_noise import with_measured_noise
from bilevel.tracking.finished import is_tracked, mark_tracked, sync_command
from bilevel.visible import visible


def run(config: DictConfig) -> Plan | None:
    """Runs a search, new or continued, from its composed configuration; returns only its plan with
    `dry_run`. Raises BilevelError."""
    settings = with_measured_noise(plain(config))
    check(settings)
    if settings["dry_run"]:
        planned = plan(settings)
        print(planned)
        return planned
    search(settings)
    return None


def search(settings: Mapping[str, Any], recording: Recording | None = None) -> Execution | None:
    """Executes a search from checked settings; returns None where it was finished and tracked
    before."""
    identity, folder = begin(settings)
    tracker = instantiate(settings["tracking"])
    with opened(identity, folder, recording, mended=settings["mend"]) as journal:
        if journal.holds("end", "end") and _in_store(settings, folder):
            print(Summary(**journal.once("end", "end", dict), finished_before=True))
            return None
        title = f"{identity.arm} seed {identity.seed}"
        with contextlib.closing(
            Progress(title, settings["search"]["trials"], _position())
        ) as progress:
            execution = Execution(
                identity, settings, folder, journal, tracker, observers=[progress]
            )
            try:
                summary = execution.to_the_end()
            finally:
                _tell_inventory(execution)
        _tell_end(execution, summary, settings, folder)
    return execution


def _tell_end(
    execution: Execution, summary: Summary, settings: Mapping[str, Any], folder: Path
) -> None:
    confirmed = "" if execution.confirmation is None else f"; {execution.confirmation}"
    held_out = "" if execution.held_out is None else f"; held out: {execution.held_out}"
    print(visible(f"{summary}{confirmed}{held_out}"))
    uri = settings["tracking"].get("uri")
    if execution.untracked:
        print(
            f"{summary.search} is not tracked, or not all of it ({execution.untracked}); its "
            f"journal is whole: {sync_command(settings)}",
            file=sys.stderr,
        )
    elif uri is not None:
        mark_tracked(folder, uri)


def _tell_inventory(execution: Execution) -> None:
    """Prints a line for each mechanism: its state, effects and credit."""
    for loop, one in execution.inventory:
        trials = len(loop.trace) - one.since
        counts = ", ".join(f"{name} {count}" for name, count in one.counts.items())
        said = f"{account(one)} in {trials} trials ({counts})"
        if account(one) == Liveness.DEAD:
            said = f"DEAD: in {trials} trials it changed nothing"
        gone = "" if one.attached else ", detached"
        error = f"; last error: {one.error}" if one.error else ""
        credit = f"; it caused {one.credit}; the proposer meanwhile: {one.proposers}"
        told = f"mechanism {one.name} is {said}{gone}{credit}{error}"
        print(visible(f"{execution.identity.search}: {told}"), file=sys.stderr)


def _in_store(settings: Mapping[str, Any], folder: Path) -> bool:
    """Returns whether the tracking store of these settings holds the search already, or none is
    named."""
    uri = settings["tracking"].get("uri")
    return uri is None or is_tracked(folder, uri)


def _position() -> int:
    """Returns the terminal line of this search's bar: the number of its job in a sweep."""
    if not HydraConfig.initialized():
        return 0
    config = HydraConfig.get()
    return int(config.job.num) if config.mode == RunMode.MULTIRUN else 0
