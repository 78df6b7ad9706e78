"""The report of a study: a table of its arms, best-so-far curves and CSV files, from MLflow alone.

python -m bilevel.report study=NAME [tracking.uri=...] [out=DIR]
"""

import re
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bilevel.report.numbers import ArmRow, SearchRow, arm_rows, rows_of
from bilevel.report.output import table, write_csv
from bilevel.report.plot import draw
from bilevel.report.reading import read
from bilevel.tracking.location import DEFAULT_URI, deep_link, ui_command

__all__ = ["ReportResult", "report"]


@dataclass(frozen=True)
class ReportResult:
    """What a report found, and where it is."""

    study: str
    stand_in: bool
    arms: tuple[ArmRow, ...]
    searches: tuple[SearchRow, ...]
    plot: Path
    arms_csv: Path
    searches_csv: Path
    command: str
    link: str


def report(
    study: str,
    uri: str = DEFAULT_URI,
    out: Path | None = None,
    console: Console | None = None,
) -> ReportResult:
    """Reads a study, writes plot and CSV files to `out` (default mlruns/reports/STUDY) and prints
    the table. Raises BadInput for an unknown study."""
    found = read(study, uri)
    rows = rows_of(found)
    arms = arm_rows(rows)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", study).strip(".") or "study"
    folder = out if out is not None else Path("mlruns/reports") / plain
    folder.mkdir(parents=True, exist_ok=True)
    result = ReportResult(
        study=study,
        stand_in=found.stand_in,
        arms=arms,
        searches=rows,
        plot=draw(found, rows, folder / "best_so_far.png"),
        arms_csv=write_csv(folder / "arms.csv", arms),
        searches_csv=write_csv(folder / "searches.csv", rows),
        command=ui_command(found.uri),
        link=deep_link(found.uri, found.experiment_id),
    )
    if console is not None:
        console.print(table(found, arms))
        for line in (
            f"curves: {result.plot}",
            f"numbers: {result.arms_csv}, {result.searches_csv}",
            f"MLflow: {result.command}",
            f"then open {result.link}",
        ):
            console.print(line, soft_wrap=True, markup=False, highlight=False)
    return result
