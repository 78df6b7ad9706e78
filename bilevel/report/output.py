"""A report as a table for the console, and as CSV files."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table

from bilevel.llm import prompts, versions
from bilevel.report.comparisons import Comparison
from bilevel.report.numbers import ArmRow
from bilevel.report.published import PublishedGroup, group_of
from bilevel.report.reading import Study
from bilevel.statistics.estimates import FEWEST_SEEDS, Interval
from bilevel.statistics.planning import Seeds

_FEW_MECHANISMS = 8  # of one arm, as lines of the console
_STAND_IN = "stand-in model: scripted"
_MOST_REASONS = 3
_NONE = "-"


def title(study: Study) -> str:
    """Return the title of tables, page and figures; it marks a stand-in's results."""
    return f"Study {study.name}" + (f" ({_STAND_IN})" if study.stand_in else "")


def table(study: Study, arms: Sequence[ArmRow]) -> Table:
    """Return the console table with one row per arm; means per search, except keep/discard/fail,
    which are sums."""
    made = Table(title=title(study), caption=_caption(study, arms), caption_justify="left")
    made.add_column("arm", no_wrap=True, overflow="fold")
    heads = ("n", f"baseline {study.objective.metric}", "confirmed delta", "[95 %]", "own delta",
             "published", "keep/disc/fail", "tokens", "modelled s")  # fmt: skip
    for head in heads:
        made.add_column(head, justify="right", no_wrap=head == "[95 %]")
    for row in arms:
        made.add_row(
            row.arm,
            f"{row.n}" + (f" ({row.unfinished} unfinished)" if row.unfinished else ""),
            number(row.baseline, ".4f"),
            number(row.confirmed_delta, "+.4f"),
            banded(row.confirmed_interval).strip() or _NONE,
            number(row.delta, "+.4f"),
            published(group_of(row.arm, study.objective.metric)),
            f"{row.kept}/{row.discarded}/{row.failed}",
            number(row.tokens, ",.0f"),
            number(row.modelled_s, ",.0f"),
        )
    return made


def comparison_table(found: Sequence[Comparison], strongest: str = "") -> Table:
    """Return the headline's comparisons as a table, arm by arm; the strongest classical search
    is marked."""
    title, caption = f"{found[0].outcome}: arm - control", "\n".join(_read(found))
    made = Table(title=title, caption=caption, caption_justify="left")
    heads = ("arm", "control", "n", "difference [95 %]", "p", "p of the study", "verdict", "g",
             "seeds needed")  # fmt: skip
    for head in heads:
        made.add_column(head, justify="left" if head in {"arm", "control", "verdict"} else "right")
    for one in found:
        control = f"{one.control} (strongest)" if one.control == strongest else one.control
        if one.refusal:
            made.add_row(one.arm, control, _NONE, f"refused: {one.refusal}")
            continue
        made.add_row(
            one.arm,
            control,
            str(one.n) if one.n == one.n_control else f"{one.n}, {one.n_control}",
            number(one.difference, "+.4f") + banded(one.interval),
            number(one.p, ".4f"),
            number(one.p_holm_study, ".4f"),
            one.verdict,
            number(one.hedges_g, "+.2f"),
            seeds_words(one.seeds_needed),
        )
    return made


def _read(found: Sequence[Comparison]) -> Iterator[str]:
    """Yields how to read the comparisons, and each reason why verdicts were impossible, once."""
    tests = sum(one.p is not None for one in found)
    yield f"verdict: by the p that is corrected (Holm) for all {tests} comparisons of the study"
    yield "seeds needed: for a power of 80 % after that correction, and what the 95 % interval of"
    yield f"the effect makes of it; this and intervals from {FEWEST_SEEDS} seeds on"
    counts = Counter(one.reach for one in found if one.reach)
    for said, times in counts.most_common(_MOST_REASONS):
        yield f"{times} of them cannot be told: {said}"


def seeds_words(needed: Seeds) -> str:
    """Return the number of seeds needed and its uncertainty, in words."""
    if needed.observed is None:
        return _NONE
    upto = "or more" if needed.most is None else f"to {needed.most:,}"
    return f"{needed.observed:,} ({number(needed.fewest, ',')} {upto})"


def write_csv(path: Path, rows: Sequence[Any]) -> Path:
    """Writes one line per record; None is an empty field, an interval two fields, and curves are
    left out."""
    lines = [dict(_flat(row)) for row in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]) if lines else ["nothing"])
        writer.writeheader()
        writer.writerows(lines)
    return path


def number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def banded(band: Interval | None, form: str = "+.4f") -> str:
    return "" if band is None else f" [{band.low:{form}}, {band.high:{form}}]"


def published(group: PublishedGroup | None) -> str:
    return _NONE if group is None else f"{group.mean:+.3f} ({group.group})"


def _flat(record: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for one in fields(record):
        value, name = getattr(record, one.name), prefix + one.name
        if one.name == "curve" or isinstance(value, tuple):
            continue
        if one.type == "Interval | None" or one.type == Interval | None:
            yield f"{name}_low", None if value is None else value.low
            yield f"{name}_high", None if value is None else value.high
        elif is_dataclass(value):
            yield from _flat(value, f"{name}_")
        else:
            yield name, value


def _caption(study: Study, arms: Sequence[ArmRow]) -> str:
    unfinished = [s for s in study.searches if not s.ended]
    said = (
        "confirmed delta: best - baseline, both measured again on fresh seeds; own delta: the\n"
        "search's own best, a minimum over noisy draws; published: arXiv 2603.23420, n=3, another\n"
        f"machine and model; [95 %]: Student's interval of the mean, from {FEWEST_SEEDS} seeds on"
    )
    if unfinished:
        named = ", ".join(
            f"{s.arm} seed {s.seed} ({max(0, len(s.trials) - 1)} trials)" for s in unfinished
        )
        said += f"\nunfinished, counted as far as they got: {named}"
    for arm in arms:
        if arm.no_repeats:
            said += f"\nseeds of {arm.arm} {arm.no_repeats}: no interval and no test"
    asked = versions_told(study)
    return "\n".join([said, *([asked] if asked else []), *_mechanism_lines(study)])


def versions_told(study: Study) -> str:
    """Return which prompts and stand-in a study used, and whether they are of an earlier
    version."""
    asked = [search for search in study.searches if search.totals.get("llm_calls")]
    if not asked:
        return ""
    given = {one.prompts or versions.UNVERSIONED for one in asked}
    stood_in = [one for one in asked if one.llm == versions.STAND_IN]
    standing = {one.stand_in_version or versions.UNVERSIONED for one in stood_in}
    said = f"prompts: {', '.join(sorted(given))}"
    now = f"prompts: {prompts.version()}"
    if standing:
        said += f"; stand-in: {', '.join(sorted(standing))}"
        now += f"; stand-in: {versions.stand_in()}"
    if said == now:
        return said
    return f"{said}. History, not compared with what this version measures, which has {now}"


def _mechanism_lines(study: Study) -> Iterator[str]:
    """Yields one line per mechanism; for an arm with many, the number in each state."""
    for arm, entries in groupby(sorted(mechanism_states(study).items()), lambda one: one[0][0]):
        lines = list(entries)
        if len(lines) <= _FEW_MECHANISMS:
            for (_, name, state), count in lines:
                yield f"mechanism {name} in {arm}: {_state(state)} in {count} of its searches"
            continue
        totals = Counter[str]()
        for (_, _, state), count in lines:
            totals[state] += count
        told = ", ".join(f"{_state(state)} {count}" for state, count in totals.most_common())
        yield f"{totals.total()} mechanisms in {arm}: {told}"


def _state(state: str) -> str:
    return "[bold red]DEAD[/bold red]" if state == "dead" else state


def mechanism_states(study: Study) -> Counter[tuple[str, str, str]]:
    """Return the number of searches for each (arm, mechanism, state)."""
    return Counter((s.arm, one.name, one.state) for s in study.searches for one in s.attached)
