"""A report as a table for the console, and as CSV files."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from bilevel.report.numbers import ArmRow, SearchRow
from bilevel.report.reading import Study

STAND_IN = "stand-in model: scripted"


def title(study: Study) -> str:
    """What table and plot are called; a stand-in's results say so here."""
    return f"Study {study.name}" + (f" ({STAND_IN})" if study.stand_in else "")


def table(study: Study, arms: Sequence[ArmRow]) -> Table:
    """Arms in rows; means a search, except keep/discard/fail, which are sums."""
    metric = study.objective.metric
    made = Table(title=title(study), caption=_caption(study), caption_justify="left")
    made.add_column("arm")
    heads = ("n", f"baseline {metric}", f"best {metric}", "delta mean ± sd", "keep/disc/fail",
             "repeats", "moves", "tokens", "modelled s", "wall s")  # fmt: skip
    for head in heads:
        made.add_column(head, justify="right")
    for row in arms:
        made.add_row(
            row.arm,
            f"{row.n}" + (f" ({row.unfinished} unfinished)" if row.unfinished else ""),
            _number(row.baseline, ".4f"),
            _number(row.best, ".4f"),
            _number(row.delta, "+.4f") + ("" if row.delta_sd is None else f" ± {row.delta_sd:.4f}"),
            f"{row.kept}/{row.discarded}/{row.failed}",
            _number(row.repetition, ".0%"),
            _number(row.distinct_moves, ".1f"),
            _number(row.tokens, ",.0f"),
            _number(row.modelled_s, ",.0f"),
            _number(row.wall_s, ",.1f"),
        )
    return made


def write_csv(path: Path, rows: Sequence[ArmRow] | Sequence[SearchRow]) -> Path:
    """One line a row, None as an empty field; curves are left to the plot."""
    lines: list[dict[str, Any]] = [asdict(row) for row in rows]
    for line in lines:
        line.pop("curve", None)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return path


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _caption(study: Study) -> str:
    unfinished = [s for s in study.searches if not s.ended]
    said = "delta = best - baseline; repeats = trials whose moves were tried before"
    if unfinished:
        named = ", ".join(
            f"{s.arm} seed {s.seed} ({max(0, len(s.trials) - 1)} trials)" for s in unfinished
        )
        said += f"\nunfinished, counted as far as they got: {named}"
    states = Counter(
        (s.arm, name, state) for s in study.searches for name, state in s.mechanisms.items()
    )
    for (arm, name, state), count in sorted(states.items()):
        shown = "[bold red]DEAD[/bold red]" if state == "dead" else state
        said += f"\nmechanism {name} in {arm}: {shown} in {count} of its searches"
    return said
