"""A search states under which prompts and stand-in it asked; never under today's if it did not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bilevel.config.files import CONF
from bilevel.errors import JournalError
from bilevel.journal import Journal, read
from bilevel.llm import prompts, versions
from bilevel.llm.recorded import RecordedClient
from bilevel.report.output import versions_told
from bilevel.report.reading import Study
from bilevel.search.build import opened
from bilevel.search.execution import Execution
from bilevel.search.from_journal import replay_exactly, settings_from_journal
from bilevel.search.identity import identify
from bilevel.search.seed_noise import with_measured_noise
from tests.report.test_numbers import SEARCH
from tests.search.test_execution import Listening
from tests.test_conf import composed

NOW = {"prompts": prompts.version(), "stand_in": versions.stand_in()}
SHORT = ("task=trap", "search.trials=3", "search.confirm_seeds=0", "study=s", "tracking=none")


def ran(folder: Path, *overrides: str) -> tuple[Path, Listening]:
    """A search in its place, and what its tracker was told."""
    settings = with_measured_noise(composed(*SHORT, f"results={folder}", *overrides))
    identity, tracker = identify(settings), Listening()
    place = identity.folder(folder)
    with opened(identity, place) as journal:
        Execution(identity, settings, place, journal, tracker).to_the_end()
    return place / "journal.jsonl", tracker


def without_versions(path: Path) -> None:
    """As an older version wrote it."""
    lines = path.read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["key"] not in ("versions", "about")]
    path.write_text("\n".join(kept) + "\n")


def test_a_search_writes_its_versions_down_and_tells_its_tracker(tmp_path: Path) -> None:
    path, tracker = ran(tmp_path)
    assert [e["data"] for e in read(path) if e["key"] == "versions"] == [NOW]
    assert {"prompts": tracker.info.prompts, "stand_in": tracker.info.stand_in_version} == NOW
    assert tracker.info.noise_told.startswith("Noise: ")
    assert RecordedClient(path).stand_in == NOW["stand_in"]


def test_whoever_asks_nobody_has_none(tmp_path: Path) -> None:
    path, tracker = ran(tmp_path, "arm=random")
    assert not [e for e in read(path) if e["key"] == "versions"]
    assert tracker.info.prompts == ""


def test_a_replay_takes_them_from_the_journal_and_an_old_journal_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = ran(tmp_path)
    monkeypatch.setattr(prompts, "version", lambda: "of tomorrow")
    settings = settings_from_journal(path, CONF, [f"results={tmp_path}", "tracking=none"])
    tracker = Listening()
    assert replay_exactly(settings, path, tracker).complete
    assert tracker.info.prompts == NOW["prompts"]
    without_versions(path)
    assert replay_exactly(settings, path, tracker).complete
    assert tracker.info.prompts == tracker.info.stand_in_version == tracker.info.noise_told == ""
    assert RecordedClient(path).stand_in == ""


def test_a_search_does_not_go_on_under_other_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = ran(tmp_path)
    monkeypatch.setattr(prompts, "version", lambda: "of tomorrow")
    with pytest.raises(JournalError, match=r"prompts of tomorrow.*finish it with the version"):
        ran(tmp_path)
    without_versions(path)
    assert versions.kept(Journal.sealed_copy(path), NOW) == {}


def test_a_report_says_what_is_history() -> None:
    def versions_of(**other: str) -> str:
        asked = {"totals": {"llm_calls": 3.0}, "llm": "scripted", **other}
        return versions_told(Study("s", "", "", (replace(SEARCH, **asked),)))  # type: ignore[arg-type]

    now = f"prompts: {NOW['prompts']}; stand-in: {NOW['stand_in']}"
    assert versions_of(prompts=NOW["prompts"], stand_in_version=NOW["stand_in"]) == now
    old = "prompts: of before versions; stand-in: of before versions. History, not compared"
    assert versions_of().startswith(old)
    assert versions_of().endswith(now)
    assert versions_told(Study("s", "", "", (replace(SEARCH, totals={}),))) == ""
