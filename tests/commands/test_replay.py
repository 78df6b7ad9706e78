"""A search from its journal alone: the same to the last digit, or what a mechanism made of it."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bilevel.commands.replay import main, replay
from bilevel.config.files import CONF
from bilevel.errors import BadInput, JournalError
from bilevel.journal import projection, read
from bilevel.llm.client import ChatClient
from bilevel.llm.prompts import Prompt
from bilevel.search.difference import Difference
from bilevel.search.from_journal import settings_from_journal
from bilevel.search.run import search as go_on
from bilevel.tasks.surrogate import Surrogate
from tests.kills import Kill, Run, Searches

TRAP = ("task=trap", "search.trials=20", "tracking=none")
MECHANISM = """\
from dataclasses import replace

from bilevel.mechanism import Mechanism


class Note(Mechanism):
    name = "note"

    def brief(self, view, brief):
        return brief.add("Lower TOTAL_BATCH_SIZE.") if view.trial > 5 else brief
"""


@pytest.fixture(scope="module")
def warm() -> Iterator[Searches]:
    with Searches() as searches:
        yield searches


@pytest.fixture(scope="module")
def searched(warm: Searches, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished searches of three arms, and one that was killed."""
    folder = tmp_path_factory.mktemp("searched")
    for arm in ("tabu", "level1_5", "random"):
        warm.killed(folder, ("study=s", f"arm={arm}", *TRAP), [])
    warm.killed(folder, ("study=s", "arm=tabu", "seed=3", *TRAP, "inner.batch=3"), [])
    (folder / "cut").mkdir()
    warm.killed(folder / "cut", ("study=s", "seed=2", *TRAP), [])
    whole = folder / "cut" / "mlruns" / "searches" / "s" / "level1-seed2" / "journal.jsonl"
    cut = folder / "mlruns" / "searches" / "s" / "level1-seed2" / "journal.jsonl"
    cut.parent.mkdir()
    cut.write_bytes(whole.read_bytes()[:15_000])
    return folder


@pytest.fixture
def here(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which nothing may be asked or evaluated unless a test allows it."""
    shutil.copytree(searched / "mlruns", tmp_path / "mlruns")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a replay asked or evaluated")

    monkeypatch.setattr(ChatClient, "complete", refuse)
    monkeypatch.setattr(Surrogate, "evaluate", refuse)


def run(*arguments: str) -> tuple[Difference | None, str]:
    console = Console(file=io.StringIO(), width=200)
    found = replay(arguments, console)
    assert isinstance(console.file, io.StringIO)
    return found, console.file.getvalue()


def journal(folder: Path, arm: str, study: str = "s", seed: int = 1) -> Path:
    return folder / "mlruns" / "searches" / study / f"{arm}-seed{seed}" / "journal.jsonl"


def data_of(path: Path) -> list[Any]:
    return [projection(entry) for entry in read(path)]


@pytest.mark.usefixtures("offline", "here")
@pytest.mark.parametrize(
    ("search", "trials"),
    [
        (("arm=tabu", "seed=1"), 20),
        (("arm=level1_5", "seed=1"), 20),
        (("arm=random", "seed=1"), 20),
        (("arm=tabu", "seed=3"), 20),
    ],
)
def test_a_search_is_reproduced_without_asking_anybody(
    search: tuple[str, ...], trials: int
) -> None:
    found, said = run("study=s", *search)
    assert found is None
    assert f"is reproduced to the last digit: {trials} trials\n" in said


@pytest.mark.usefixtures("offline", "here")
def test_an_unfinished_search_is_reproduced_as_far_as_it_goes() -> None:
    _, said = run("study=s", "arm=level1", "seed=2")
    assert "trials (it is unfinished, and stops there)" in said


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("outcome", "value", 1.0),
        ("trial", "decision", "keep"),
        ("end", "best", 0.5),
        ("hooks", "calls", []),
    ],
)
def test_a_journal_that_does_not_come_out_again_is_an_error(
    here: Path, kind: str, field: str, value: object
) -> None:
    path = journal(here, "tabu")
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    place = max(i for i, entry in enumerate(entries) if entry["kind"] == kind)
    assert entries[place]["data"][field] != value
    entries[place]["data"][field] = value
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    with pytest.raises(JournalError):
        run("study=s", "arm=tabu", "seed=1")


@pytest.mark.usefixtures("offline")
def test_entries_too_many_or_in_another_order_are_an_error(here: Path) -> None:
    path = journal(here, "tabu")
    lines = path.read_text().splitlines(keepends=True)
    extra = json.dumps({"kind": "reply", "key": "L1/T99/x", "request": "", "data": {}}) + "\n"
    for wrong in ([*lines[:-1], extra, lines[-1]], [*lines[:5], lines[6], lines[5], *lines[7:]]):
        path.write_text("".join(wrong))
        with pytest.raises(JournalError, match="does not come to"):
            run("study=s", "arm=tabu", "seed=1")


def test_without_a_mechanism_recorded_answers_are_used_until_they_no_longer_fit(
    here: Path, warm: Searches
) -> None:
    found, said = run("study=s", "arm=tabu", "seed=1", "without=tabu", "tracking=none")
    assert found is not None
    assert (found.recorded.mechanisms, found.replayed.mechanisms) == ({"tabu": "live"}, {})
    assert 0 < found.changed < found.compared == 20
    assert found.first.startswith("trial ")
    assert found.answers_recorded > 0
    assert found.answers_live > 0
    assert found.delta == pytest.approx((found.replayed.delta or 0) - (found.recorded.delta or 0))
    assert "first divergence: trial" in said
    # it is the search that would have been run without the mechanism
    warm.killed(here, ("study=plain", "arm=level1", *TRAP), [])
    plain = data_of(journal(here, "level1", "plain"))
    other = data_of(journal(here, "tabu.without-tabu", "s.replays"))
    kinds = ("reply", "outcome", "trial")
    assert [e for e in plain if e["kind"] in kinds] == [e for e in other if e["kind"] in kinds]


def test_where_prompts_were_worded_otherwise_answers_are_found_by_place_and_only_for_this_search(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = Prompt.render
    monkeypatch.setattr(Prompt, "render", lambda self, **v: f"{rendered(self, **v)}\nThank you.\n")
    replies = [e for e in data_of(journal(here, "level1_5")) if e["kind"] == "reply"]
    _, said = run("study=s", "arm=level1_5", "seed=1")
    assert "is reproduced to the last digit: 20 trials" in said
    assert f"{len(replies)} questions were put in other words" in said
    placebo = Path(__file__).parents[2] / "mechanisms" / "placebo.py"
    found, _ = run("study=s", "arm=level1_5", "seed=1", f"with={placebo}", "tracking=none")
    assert found is not None
    assert found.answers_live >= len(replies)  # another search: no answer to another question
    path = journal(here, "level1_5")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]))
    with pytest.raises(JournalError, match="recorded for another request; the code or the prompts"):
        go_on(settings_from_journal(path, CONF, ["results=mlruns", "tracking=none"]))


def test_a_placebo_put_in_changes_nothing_and_asks_nobody(here: Path, offline: None) -> None:
    placebo = Path(__file__).parents[2] / "mechanisms" / "placebo.py"
    found, said = run("study=s", "arm=level1_5", "seed=1", f"with={placebo}", "tracking=none")
    assert found is not None
    assert (found.changed, found.first, found.delta, found.answers_live) == (0, "", 0.0, 0)
    assert found.replayed.mechanisms == {"placebo": "dead"}
    assert "first divergence: none" in said


def test_a_mechanism_from_a_file_changes_what_follows(here: Path) -> None:
    (here / "note.py").write_text(MECHANISM)
    arguments = ("study=s", "arm=random", "seed=1", "with=note.py", "tracking=none")
    found, _ = run(*arguments)
    assert found is not None  # a random search does not read
    assert (found.changed, found.replayed.mechanisms) == (0, {"note": "prompted"})
    found, _ = run("study=s", "arm=level1_5", "seed=1", "with=note.py", "tracking=none")
    assert found is not None
    assert int(found.first.split()[1].rstrip(":")) > 5
    again, _ = run("study=s", "arm=level1_5", "seed=1", "with=note.py", "tracking=none")
    assert again == found
    (here / "note.py").unlink()
    assert "reproduced" in run("study=s.replays", "arm=level1_5.with-note", "seed=1")[1]
    (here / "note.py").write_text(MECHANISM.replace("> 5", "> 6"))
    with pytest.raises(BadInput, match=r"note\.source: was"):
        run("study=s", "arm=level1_5", "seed=1", "with=note.py", "tracking=none")
    fresh, _ = run(
        "study=s", "arm=level1_5", "seed=1", "with=note.py", "fresh=true", "tracking=none"
    )
    assert fresh is not None


@pytest.mark.parametrize(
    ("raises", "state"),
    [
        ("view.trial", "failed: raised in 3 of 3 hook calls"),
        ("view.trial == 3", "prompted, raised in 1 of 20 hook calls"),
    ],
)
def test_a_mechanism_that_raises_has_failed_and_is_not_merely_dead(
    here: Path, raises: str, state: str
) -> None:
    text = MECHANISM.replace("return", f"assert not ({raises})\n        return", 1)
    (here / "bad.py").write_text(text)
    found, said = run("study=s", "arm=level1_5", "seed=1", "with=bad.py", "tracking=none")
    assert found is not None
    assert found.replayed.mechanisms == {"note": state}
    assert f"note: {state}" in " ".join(said.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "defines none; expected exactly one subclass of Mechanism"),
        ("import nothing_like_it\n", "cannot be imported: ModuleNotFoundError"),
        ("def broken(:\n", "cannot be imported: SyntaxError"),
        (MECHANISM + "    def __init__(self, period):\n        pass\n", "give defaults"),
    ],
)
def test_a_file_that_is_no_mechanism_is_told(
    here: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.py").write_text(text)
    assert main(["study=s", "arm=tabu", "seed=1", "with=bad.py", "tracking=none"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["study=s", "arm=tabu"], "seed=... is missing"),
        (["study=t", "arm=tabu", "seed=1"], "there is no study t in mlruns/searches; there are: s"),
        (["study=s", "arm=tabu", "seed=9"], "it has: level1-seed2, level1_5-seed1"),
        (["study=s", "arm=tabu", "seed=1", "without=x"], "this search's mechanisms were: tabu"),
        (["study=s", "arm=tabu", "seed=1", "with=no.py"], "No such file"),
        (["study=s", "arm=tabu", "seed=1", "search.trials=5"], "would make it another search"),
        (["study=s", "arm=tabu", "seed=1", "llm.max_cal=5"], "would make it another search"),
        (["study=s", "arm=tabu", "seed=1", "tracking=mlflo"], "did you mean mlflow"),
    ],
)
def test_bad_input_exits_2_with_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_recorded_replies_serve_inside_a_search(here: Path, warm: Searches) -> None:
    replayed = ("study=again", "arm=tabu", *TRAP, "llm=replay", "llm.study=s")
    warm.killed(here, replayed, [Kill("journal", 30, 0.4)])
    kinds = ("reply", "outcome", "trial", "hooks")
    first, again = (
        [e for e in data_of(journal(here, "tabu", study)) if e["kind"] in kinds]
        for study in ("s", "again")
    )
    assert first == again
    shutil.rmtree(journal(here, "tabu").parent)  # the recording is not needed for a replay of it
    assert "reproduced" in run("study=again", "arm=tabu", "seed=1")[1]


def test_a_question_that_was_not_recorded_ends_the_search_with_one_line(
    here: Path, warm: Searches
) -> None:
    warmer = ("study=other", "arm=tabu", *TRAP, "llm=replay", "llm.study=s", "llm.temperature=0.9")
    assert warm.run(Run(str(here), warmer)) == 1
    assert "holds no answer to this question" in (here / "output.log").read_text()
    assert warm.run(Run(str(here), ("study=own", "arm=tabu", *TRAP, "llm=replay"))) == 2
    assert "llm.study=..." in (here / "output.log").read_text()


def test_help_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "without=MECHANISM" in capsys.readouterr().out


def test_a_damaged_line_is_set_aside_and_the_rest_is_used(here: Path, warm: Searches) -> None:
    """The journal after mending: the same answers, whatever line was lost."""
    whole = journal(here, "level1_5")
    command = ("study=s", "arm=level1_5", *TRAP)
    lines = whole.read_bytes().splitlines(keepends=True)
    for place in (0, 3, len(lines) // 2, len(lines) - 2):
        folder = here / f"line{place}"
        path = journal(folder, "level1_5")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join([*lines[:place], b"\0" * 40 + b"\n", *lines[place + 1 :]]))
        assert warm.run(Run(str(folder), command)) == 1
        assert f"line {place + 1} is damaged" in (folder / "output.log").read_text()
        assert "mend=true" in (folder / "output.log").read_text()
        warm.killed(folder, (*command, "mend=true"), [Kill("journal", 9, 0.5)])
        assert data_of(path) == data_of(whole)
        assert path.with_suffix(".damaged1").read_bytes().count(b"\0") == 40
