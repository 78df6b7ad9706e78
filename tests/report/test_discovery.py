"""What searches of mechanisms found stands on the page as it was planted."""

import csv
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from bilevel.report import ReportResult, report
from bilevel.report.discovery import Contrast, discoveries
from bilevel.report.reading import Study, read
from bilevel.tracking import MlflowTracker, tables
from bilevel.tracking.store import Store
from tests.report.discovered import END, run_discovery
from tests.report.test_page import Nesting
from tests.tracking.studies import run_search


def _reported(uri: str, folder: Path) -> tuple[ReportResult, str, str]:
    """The report, the section on the page, and its text alone."""
    made = report("demo", uri, folder)
    page = made.page.read_text(encoding="utf-8")
    [section] = re.findall(r'<section id="discovery".*?</section>', page, re.DOTALL)
    plain = " ".join(unescape(re.sub(r"<[^>]*>", " ", section)).split())
    return made, section, plain


def test_what_was_found_stands_on_the_page(uri: str, tmp_path: Path) -> None:
    tracker = MlflowTracker(uri)
    run_discovery(tracker)
    assert tracker.problem == ""
    made, section, plain = _reported(uri, tmp_path / "out")
    assert (
        "leaps (trial 4 of 4) is the incumbent. Its gain on the 3 tasks of the training half: "
        "0.467 with it, 0.200 without (+0.267 ± 0.203). On fresh seeds of the same tasks: 0.400 "
        "with it, 0.150 without (+0.250). On tasks held out: 0.188 with it, 0.125 without "
        "(+0.062)."
    ) in plain
    lineage, candidates = re.findall(r"<tbody>(.*?)</tbody>", section, re.DOTALL)
    assert _cells(lineage) == [
        ["0", "no mechanism", "-", "0.200 ± 0.012", "-", "0%", "0.00"],
        ["1", "steps_on", "idea of steps_on", "0.300 ± 0.012", "+0.100 ± 0.058", "37%", "2.00"],
        ["4", "leaps", "idea of leaps", "0.467 ± 0.012", "+0.267 ± 0.203", "37%", "0.50"],
    ]
    assert _cells(candidates) == [
        ["1", "steps_on", "keep", "0.300 ± 0.012", "+0.100 ± 0.058", "37%", "9", "no", "-"],
        ["2", "idles", "discard", "0.200", "+0.000", "0%", "3", "yes", "-"],
        ["3", "imports_os", "fail", "-", "-", "-", "-", "-", "lint: os may not be imported"],
        ["4", "leaps", "keep", "0.467 ± 0.012", "+0.267 ± 0.203", "37%", "9", "no", "-"],
    ]
    sources = re.sub(r"<[^>]*>", "", section)
    assert "class Leaps(Mechanism):" in sources
    assert "class Idles" not in sources
    assert "first = 1" not in sources
    assert "<script" not in section
    nesting = Nesting()
    nesting.feed(section)
    assert nesting.open == []
    assert 'href="#discovery"' in made.page.read_text(encoding="utf-8")
    assert [path.name for path in made.figures if "discovery" in path.name] == [
        "discovery_01.png", "discovery_01.dark.png",
    ]  # fmt: skip
    assert "mean, held out 0.125 and 0.188; trap 0.100 and 0.700; plateau" in section
    assert "noisy 0.000 and 0.125" in section  # held out
    _stands_in_the_csv(made)


def _cells(rows: str) -> list[list[str]]:
    return [
        [unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in re.findall(r"<tr>.*?</tr>", rows, re.DOTALL)
    ]


def _stands_in_the_csv(made: ReportResult) -> None:
    [path] = [path for path in made.csv if path.name == "discovery.csv"]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["in_lineage"] for row in rows] == ["True", "False", "False", "True"]
    assert [row["parent"] for row in rows] == ["0", "1", "1", "1"]
    assert rows[2]["gain"] == rows[2]["hook_s"] == ""
    assert float(rows[3]["hook_s"]) == 0.5


def test_that_nothing_was_kept_is_told(uri: str, tmp_path: Path) -> None:
    run_discovery(MlflowTracker(uri), kept=False, end="")
    made, section, plain = _reported(uri, tmp_path / "out")
    assert (
        "The search has not ended. Nothing was kept: the arm without a mechanism has a gain of "
        "0.200 on the training half, and none of 4 candidates replaced it (1 without a value, 1 "
        "stopped early; the best of the others is leaps, 0.467)."
    ) in plain
    assert "<details" not in section
    assert not [path for path in made.figures if "discovery" in path.name]


def test_other_studies_have_no_such_section(uri: str, tmp_path: Path) -> None:
    run_search(MlflowTracker(uri), "A", 1, trials=5)
    made = report("demo", uri, tmp_path / "out")
    assert "discovery" not in made.page.read_text(encoding="utf-8")
    assert (tmp_path / "out" / "discovery.csv").exists()


@pytest.fixture
def studied(uri: str) -> Study:
    run_discovery(MlflowTracker(uri))
    return read("demo", uri)


def test_a_refuted_incumbent_is_not_the_winner(studied: Study) -> None:
    [search] = studied.searches
    refuting = replace(search.trials[4], number=5, decision="discard", retest_of=4)
    whole = replace(studied, searches=(replace(search, trials=(*search.trials, refuting)),))
    [found] = discoveries(whole, None)
    assert found.incumbent.mechanism == "steps_on"
    assert [one.candidate.trial for one in found.lineage] == [0, 1]
    assert found.by_task["trap"] == Contrast(0.1, 0.3)


def test_what_was_not_measured_again_is_told(studied: Study) -> None:
    [search] = studied.searches
    bare = {name: value for name, value in search.totals.items() if name not in END}
    [found] = discoveries(replace(studied, searches=(replace(search, totals=bare),)), None)
    assert "same tasks: not measured. On tasks held out: not measured." in found.words


def test_a_text_that_is_gone_is_told(studied: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(studied.uri, write=False)
    monkeypatch.setattr(Store, "text", lambda *_: "no JSON")
    [found] = discoveries(studied, store)
    assert [bool(one.unread) for one in found.lineage] == [False, True, True]


def test_run_by_run_the_same_is_read(studied: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise LookupError("of its shape")

    monkeypatch.setattr(tables.Tables, "__init__", refuse)
    assert read("demo", studied.uri) == studied
