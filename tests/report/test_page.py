"""The page holds everything, needs nothing from elsewhere, and executes no text of a model."""

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sqlalchemy

from bilevel.report import ReportResult, report
from bilevel.report.reading import read
from bilevel.tracking import MlflowTracker, tables
from bilevel.tracking.store import Store
from bilevel.tracking.studied import read_study
from tests.report.inventions import invention, screened
from tests.tracking.studies import info, mechanism, records, run_search

VOID = {"meta", "img", "source", "br", "link", "input"}


class Nesting(HTMLParser):
    """Collects every tag, and fails where they are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def made(uri: str, tmp_path: Path) -> ReportResult:
    tracker = MlflowTracker(uri)
    for seed in (1, 2):
        run_search(tracker, "level1", seed, trials=1)
        tracker.start(info("bilevel", seed))
        for record in records("bilevel", seed, 1, calls=False):
            tracker.trial(record)
        tracker.trial(invention(1, seed, in_prompt=seed == 1))
        tracker.trial(screened(2, chosen=seed == 1))
        tracker.mechanisms([mechanism()])
        tracker.end("done", {"confirmed_delta": -0.01 * seed, "confirmed_n": 5.0})
    assert tracker.problem == ""
    return report("demo", uri, tmp_path / "out")


def test_one_report_from_end_to_end(made: ReportResult, uri: str) -> None:
    text = made.page.read_text(encoding="utf-8")
    page = Nesting()
    page.feed(text)
    assert page.open == []
    _needs_nothing_from_elsewhere(page, text)
    _can_be_reached_by_keyboard(page)
    _says_what_it_is(text)
    _shows_what_was_written(text)
    _shows_what_candidates_came_to(made, text)
    _stands_in_mlflow(made, uri)


def _needs_nothing_from_elsewhere(page: Nesting, text: str) -> None:
    addresses = [
        attrs[name] or "" for _, attrs in page.tags for name in ("src", "srcset") if name in attrs
    ]
    assert addresses
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert "url(" not in text
    assert "@import" not in text


def _can_be_reached_by_keyboard(page: Nesting) -> None:
    anchors = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    targets = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert all(a[1:] in targets for a in anchors if a and a.startswith("#"))
    assert anchors[0] == "#results"
    scrolling = [attrs for _, attrs in page.tags if attrs.get("class") == "scroll"]
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in scrolling)
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")


def _says_what_it_is(text: str) -> None:
    assert "<title>Study demo (stand-in model: scripted)</title>" in text
    assert "prefers-color-scheme: dark" in text
    assert "2 seeds cannot give a p below 0.5, from 6 on they can" in text
    assert "no interval: fewer than 5 seeds" in text
    assert "fewer than 5 seeds do not tell how large an effect is" in text
    assert "group C, n=3" in text
    assert "arXiv 2603.23420" in text
    assert "arXiv 2603.24647" in text


def _shows_what_was_written(text: str) -> None:
    plain = re.sub(r"<[^>]*>", "", text)
    assert "os may not be imported" in plain
    assert "class Annealing(Mechanism):" in plain
    assert "<script" not in text
    assert "whose words stood in the prompt" in plain
    assert "whose words did not stand in the prompt" in plain


def _shows_what_candidates_came_to(made: ReportResult, text: str) -> None:
    plain = " ".join(re.sub(r"<[^>]*>", " ", text).split())
    assert plain.count("Gain over none, paired by task: two tasks.") == 2
    assert "annealing +0.250 0.100 50 % yes Keeps a worse trial" in plain
    assert "annealing +0.250 0.100 50 % no Keeps a worse trial" in plain
    assert "second -0.125 - 0 % no Keeps a worse trial" in plain
    assert "third - - - refused by the gates" in plain
    assert "nothing · bilevel seed 2, session 2 · none attached" in plain
    with (made.page.parent / "mechanisms.csv").open(encoding="utf-8") as file:
        rows = [(row["candidates"], row["gains"]) for row in csv.DictReader(file)]
    assert sorted(set(rows)) == [("1", ""), ("3", "1_annealing +0.2500; 2_second -0.1250")]


def _stands_in_mlflow(made: ReportResult, uri: str) -> None:
    store = Store(uri)
    [experiment] = store.studies().values()
    [run] = store.runs(experiment, "tags.kind = 'study'")
    assert run.run_id == made.run_id
    assert run.tags["stand_in"] == "true"
    assert run.metrics["confirmed_delta/bilevel"] == pytest.approx(-0.015)
    assert store.text(run.run_id, "report.html") == made.page.read_text(encoding="utf-8")
    again = report("demo", uri, made.page.parent)
    assert again.run_id == made.run_id
    assert len(again.searches) == len(made.searches)


def test_tables_and_interface_read_the_same(
    uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = MlflowTracker(uri)
    run_search(tracker, "A", 1, trials=5)
    run_search(tracker, "B", 1, trials=1, end="")
    run_search(tracker, "C", 1, trials=1)
    tracker.supersede("demo", "C", 1)
    swift = read("demo", uri)
    store = Store(uri)
    assert "run by run" not in caplog.text
    monkeypatch.setattr(tables, "TAGS", sqlalchemy.table("tags", sqlalchemy.column("colour")))
    assert read("demo", uri) == swift
    assert "read run by run, since its table tags has no column colour" in caplog.text
    [search, *_] = read_study(store, swift.experiment_id)
    assert search.curves["tokens"] == {n: 940.0 * n for n in range(6)}


def test_a_store_that_cannot_be_written_is_told_and_the_report_is_there(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from bilevel.errors import TrackingError
    from bilevel.tracking import study_run

    def refuse(*_: object) -> str:
        raise TrackingError("the disk is full")

    run_search(MlflowTracker(uri), "A", 1, trials=1)
    monkeypatch.setattr(study_run, "keep", refuse)
    made = report("demo", uri, tmp_path / "out")
    assert made.run_id == ""
    assert made.page.exists()
    assert "not kept in MLflow: the disk is full" in caplog.text
