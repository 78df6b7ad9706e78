"""The report of a study, from MLflow alone: tables, tests, figures, one page, and CSV files.

python -m bilevel report study=NAME [tracking.uri=URI | results=DIR] [out=DIR]
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bilevel.errors import TrackingError
from bilevel.report.reading import Study, opened, read
from bilevel.tracking.location import DEFAULT_URI, deep_link, run_link, ui_command

if TYPE_CHECKING:  # they import scipy, which whoever asks for help does not need
    from bilevel.report.comparisons import Comparison
    from bilevel.report.numbers import ArmRow, SearchRow
    from bilevel.report.strongest import Strongest

__all__ = ["ReportResult", "report"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportResult:
    """The findings of a report and its files; `run_id` is its run in MLflow, empty if that could
    not be written."""

    study: str
    stand_in: bool
    arms: "tuple[ArmRow, ...]"
    searches: "tuple[SearchRow, ...]"
    comparisons: "tuple[Comparison, ...]"
    strongest: "Strongest | None"
    page: Path
    figures: tuple[Path, ...]
    csv: tuple[Path, ...]
    command: str
    link: str
    run_id: str


def report(
    study: str,
    uri: str = DEFAULT_URI,
    out: Path | None = None,
    console: Console | None = None,
) -> ReportResult:
    """Reads a study, writes the report to `out` (default mlruns/reports/STUDY) and beside the
    study in MLflow, and prints the tables. Raises BadInput for an unknown study."""
    from bilevel.report.making import made

    found = read(study, uri)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", study).strip(".") or "study"
    folder = out if out is not None else Path("mlruns/reports") / plain
    folder.mkdir(parents=True, exist_ok=True)
    command, link = ui_command(found.uri), deep_link(found.uri, found.experiment_id)
    written = made(found, opened(found.uri), folder, {"This study in MLflow": link})
    run_id = _keep(found, written.files, written.metrics)
    result = ReportResult(
        study=study,
        stand_in=found.stand_in,
        arms=written.findings.arms,
        searches=written.searches,
        comparisons=written.findings.comparisons,
        strongest=written.findings.strongest,
        page=written.page,
        figures=written.figures,
        csv=written.csv,
        command=command,
        link=link,
        run_id=run_id,
    )
    if console is not None:
        _print(console, found, result)
    return result


def _keep(found: Study, files: tuple[Path, ...], metrics: dict[str, float]) -> str:
    """Writes the report as a run of the study and returns its id; a store that cannot be written
    only gives a warning."""
    from bilevel.tracking.store import Store
    from bilevel.tracking.study_run import keep

    tags = {"stand_in": "true"} if found.stand_in else {}
    try:
        store = Store(found.uri)
        return keep(store, found.experiment_id, found.name, files, metrics, tags)
    except TrackingError as error:
        _log.warning("the report is not kept in MLflow: %s", error)
        return ""


def _print(console: Console, found: Study, result: ReportResult) -> None:
    from bilevel.report.output import comparison_table, table

    console.print(table(found, result.arms))
    headline = [one for one in result.comparisons if one.outcome == result.comparisons[0].outcome]
    if headline:
        console.print(comparison_table(headline, result.strongest.arm if result.strongest else ""))
    lines = [] if result.strongest is None else [str(result.strongest)]
    lines += [
        f"page: {result.page}",
        f"figures and numbers: {result.page.parent}",
        f"MLflow: {result.command}",
        f"then open {result.link}",
    ]
    if result.run_id:
        kept = run_link(found.uri, found.experiment_id, result.run_id)
        lines.append(f"the report is kept there too: {kept}")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
