"""One HTML page with everything in it: it is read without a network, light or dark, by keyboard."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bilevel.config.arms import CLASSICAL, Role, checks, controls, role_of, roles
from bilevel.report import published
from bilevel.report.behaviour import REFERENCE, Avoided, Behaviour
from bilevel.report.comparisons import Comparison
from bilevel.report.discovery import Discovery
from bilevel.report.figures import Figure
from bilevel.report.figures.gains import name_of
from bilevel.report.inventions import InventionReport
from bilevel.report.numbers import ArmRow
from bilevel.report.origins import Origin
from bilevel.report.output import (
    banded,
    mechanism_states,
    number,
    seeds_words,
    title,
    versions_told,
)
from bilevel.report.published import group_of
from bilevel.report.reading import Study
from bilevel.report.strongest import Strongest
from bilevel.statistics.estimates import FEWEST_SEEDS, Interval
from bilevel.statistics.power import DRAWN, EXACT_PAIRS

if TYPE_CHECKING:
    from jinja2 import Template

_MOST_AVOIDED = 60  # lines of that table; all are in avoided.csv
_MOST_LISTED = 200  # lines of the tables of mechanisms and sessions; all are in the CSV files


@dataclass(frozen=True)
class Findings:
    """All results of a report."""

    study: Study
    arms: tuple[ArmRow, ...]
    comparisons: tuple[Comparison, ...]
    strongest: Strongest | None
    behaviour: tuple[Behaviour, ...]
    origins: tuple[Origin, ...]
    avoided: tuple[Avoided, ...]
    inventions: tuple[InventionReport, ...]
    discoveries: tuple[Discovery, ...]

    @property
    def roles(self) -> dict[str, Role]:
        """The roles of the study's arms, and of every other one."""
        own = {one.arm: role_of(one.arm, one.role) for one in self.study.searches}
        return {**roles(), **own}


def page(found: Findings, figures: Sequence[Figure], links: Mapping[str, str]) -> str:
    """Return the HTML page; `links` maps names to the addresses of what belongs to it."""
    states, arms = mechanism_states(found.study), found.roles
    outcomes = list(dict.fromkeys(one.outcome for one in found.comparisons))
    return _template().render(
        found=found,
        study=found.study,
        title=title(found.study),
        css=_text("page.css") + _highlighting(),
        figures={figure.name: figure for figure in figures},
        links=links,
        controls=controls(arms),
        classical=controls(arms, [CLASSICAL]),
        checks=checks(arms),
        outcomes=outcomes,
        versions=versions_told(found.study),
        states=sorted(states.items()),
        state_counts=_by_arm(states),
        states_seen=sorted({state for _, _, state in states}),
    )


def _template() -> "Template":
    """Return the page's Jinja template with its filters and fixed texts."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bilevel.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "banded": banded,
        "highlighted": _highlighted,
        "embedded": _embedded,
        "sentence": lambda said: f"{str(said)[:1].upper()}{str(said)[1:]}.",
        "share": lambda value: number(value, ".0%"),
    }
    environment.globals |= {
        "group_of": group_of,
        "gains_figure": name_of,
        "words": _interval_words,
        "seeds_words": seeds_words,
        "published": published,
        "reference": REFERENCE,
        "exact_pairs": EXACT_PAIRS,
        "fewest_seeds": FEWEST_SEEDS,
        "drawn": DRAWN,
        "most_avoided": _MOST_AVOIDED,
        "most_listed": _MOST_LISTED,
    }
    return environment.get_template("page.html")


def _embedded(path: Path) -> str:
    """Return a picture as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


@lru_cache(maxsize=256)
def _highlighted(source: str) -> Any:
    """Return a source as HTML, escaped and coloured; it is never executed."""
    from markupsafe import Markup
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(source, PythonLexer(), HtmlFormatter(cssclass="code", wrapcode=True)))


def _highlighting() -> str:
    """Return the CSS of coloured sources, for the light and the dark theme."""
    from pygments.formatters import HtmlFormatter

    light = HtmlFormatter(style="default").get_style_defs(".code")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".code")
    return f"\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def _by_arm(states: Mapping[tuple[str, str, str], int]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for (arm, _, state), count in sorted(states.items()):
        found.setdefault(arm, Counter())[state] += count
    return found


def _text(name: str) -> str:
    return resources.files("bilevel.report").joinpath("templates", name).read_text("utf-8")


def _interval_words(band: Interval | None, n: int, no_repeats: str = "") -> str:
    """Return an interval, or why there is none."""
    if band is not None:
        return banded(band).strip()
    if no_repeats:
        return "no interval: no repeats"
    few = f"no interval: fewer than {FEWEST_SEEDS} seeds"
    return few if n < FEWEST_SEEDS else "no interval: all seeds alike"
