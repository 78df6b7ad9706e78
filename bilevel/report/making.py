"""Makes a report's files from a study: everything that needs numpy, scipy or matplotlib."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bilevel.report.behaviour import avoided, behaviour
from bilevel.report.comparisons import comparisons
from bilevel.report.discovery import discoveries
from bilevel.report.figures import Figure, draw
from bilevel.report.figures.activations import activations
from bilevel.report.figures.convergence import convergence
from bilevel.report.figures.deltas import deltas
from bilevel.report.figures.gains import gains
from bilevel.report.figures.measures import measures
from bilevel.report.inventions import InventionRow, inventions
from bilevel.report.numbers import SearchRow, arm_rows, rows_of
from bilevel.report.origins import origins
from bilevel.report.output import title, write_csv
from bilevel.report.page import Findings, page
from bilevel.report.published import published
from bilevel.report.reading import Study
from bilevel.report.strongest import strongest

if TYPE_CHECKING:
    from bilevel.tracking.store import Store


@dataclass(frozen=True)
class _Made:
    """The files and tables of a report; `metrics` are its headline by arm, as stored in MLflow."""

    findings: Findings
    searches: tuple[SearchRow, ...]
    page: Path
    figures: tuple[Path, ...]
    csv: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.page, *self.figures, *self.csv)

    @property
    def metrics(self) -> dict[str, float]:
        found: dict[str, float] = {"searches": len(self.searches)}
        for arm in self.findings.arms:
            named = {"confirmed_delta": arm.confirmed_delta, "delta": arm.delta}
            found |= {f"{name}/{arm.arm}": v for name, v in named.items() if v is not None}
        return found


def made(study: Study, store: "Store", folder: Path, links: Mapping[str, str]) -> _Made:
    """Writes page, figures and CSV files to the folder."""
    rows = rows_of(study)
    found = Findings(
        study=study,
        arms=arm_rows(rows),
        comparisons=comparisons(rows, study.objective),
        strongest=strongest(rows, study.objective),
        behaviour=behaviour(study, rows),
        origins=origins(study),
        avoided=avoided(study),
        inventions=inventions(study, store),
        discoveries=discoveries(study, store),
    )
    figures = _figures(found, rows, folder)
    path = folder / "report.html"
    path.write_text(page(found, figures, links), encoding="utf-8")
    return _Made(
        findings=found,
        searches=rows,
        page=path,
        figures=tuple(path for figure in figures for path in (figure.light, figure.dark)),
        csv=_csv(found, rows, folder),
    )


def _figures(found: Findings, rows: tuple[SearchRow, ...], folder: Path) -> list[Figure]:
    said, study = title(found.study), found.study
    drawings = (
        deltas(study, rows, found.arms, said),
        convergence(study, rows, said),
        measures(found.behaviour, said),
        activations(study, rows, said),
        *(gains(one, place, said) for place, one in enumerate(found.discoveries)),
    )
    arms = [arm.arm for arm in found.arms]
    return [draw(drawing, arms, folder) for drawing in drawings if drawing is not None]


def _csv(found: Findings, rows: tuple[SearchRow, ...], folder: Path) -> tuple[Path, ...]:
    searches = [one for group in published() for one in group.searches]
    tables = {
        "arms": found.arms,
        "searches": rows,
        "comparisons": found.comparisons,
        "behaviour": found.behaviour,
        "origins": found.origins,
        "avoided": found.avoided,
        "mechanisms": [InventionRow.of(one) for one in found.inventions],
        "discovery": [row for one in found.discoveries for row in one.candidates],
        "published": searches,
    }
    return tuple(write_csv(folder / f"{name}.csv", table) for name, table in tables.items())
