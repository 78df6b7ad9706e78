"""A model that has stopped making sense is told as it goes on, and ends its search in time."""

import json
import re
from pathlib import Path

from tests.faults.commands import Commands, journal
from tests.faults.replies import good
from tests.faults.server import TRIALS, Act, Asked, Server, says
from tests.faults.test_replies import SETTINGS, trials
from tests.levels.test_tuner import wants

PROSE = says("I would lower MATRIX_LR.")
CUT = says(good(2)[:-9], finish="length")
LAST = r"in 3 trials in a row, the last because .*no JSON object.*llm\.max_unusable=N"


def search(server: Server, *more: str) -> tuple[str, ...]:
    return ("study=s", *SETTINGS, "search.trials=10", f"llm.base_url={server.url}", *more)


def number(asked: Asked) -> int:
    """The trial that a question is for, in a search of ten."""
    return asked.trial + 10 - TRIALS


def failed(folder: Path, arm: str = "level1") -> list[int]:
    """The trials without a usable reply."""
    told = trials(journal(folder, arm=arm))
    return [number for number, trial in enumerate(told) if trial["proposal"]["problem"]]


def test_too_many_in_a_row_stop_the_search_which_the_same_command_continues(
    command: Commands, tmp_path: Path
) -> None:
    with Server(lambda asked: PROSE) as server:
        for first in (0, 3):
            stopped = command(tmp_path, *search(server, "llm.max_unusable=3"))
            assert stopped.code == 3, stopped.err
            assert re.search(LAST, stopped.stop_line)
            told = re.findall(r"level1 seed 1  trial (\d+): a reply to propose/0 .*", stopped.err)
            assert told == [str(first + n) for n in (1, 1, 2, 2, 3, 3)]
            assert len(stopped.err.splitlines()) < 15
        server.script = lambda asked: says(good(number(asked)))
        before = len(server.asked)
        continued = command(tmp_path, *search(server, "llm.max_unusable=3"))
        assert (continued.code, len(server.asked) - before) == (0, 4), continued.err
        assert "cannot be used" not in continued.err
    assert failed(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_a_usable_reply_in_between_begins_the_count_anew(command: Commands, tmp_path: Path) -> None:
    def script(asked: Asked) -> Act:
        return says(good(number(asked))) if number(asked) % 3 == 0 or asked.repair else CUT

    def lost(asked: Asked) -> Act:
        return says(good(number(asked))) if number(asked) % 3 == 0 else CUT

    with Server(script) as server:
        ran = command(tmp_path, *search(server, "llm.max_unusable=1"))
        assert ran.code == 0, ran.err
        assert failed(tmp_path) == []
        assert "llm.max_tokens; answer more briefly); it is asked for again" in ran.err
        server.script = lost
        ran = command(tmp_path, *search(server, "llm.max_unusable=3", "fresh=true"))
        assert ran.code == 0, ran.err
        assert failed(tmp_path) == [1, 2, 4, 5, 7, 8, 10]


def test_eight_by_default_and_never_where_that_is_asked_for(
    command: Commands, tmp_path: Path
) -> None:
    with Server(lambda asked: PROSE) as server:
        stopped = command(tmp_path, *search(server))
        assert (stopped.code, "in 8 trials in a row" in stopped.stop_line) == (3, True)
        for never in ("0", "null"):
            ran = command(tmp_path, *search(server, "fresh=true", f"llm.max_unusable={never}"))
            assert (ran.code, failed(tmp_path)) == (0, [*range(1, 11)]), ran.err
        wrong = command(tmp_path, *search(server, "llm.max_unusable=-1"))
        assert (wrong.code, "llm.max_unusable=-1: expected" in wrong.stop_line) == (2, True)


def test_a_tuner_that_makes_sense_hides_no_proposer_that_does_not(
    command: Commands, tmp_path: Path
) -> None:
    """Each level has a count of its own."""

    def script(asked: Asked) -> Act:
        return says(json.dumps(wants())) if "freeze" in asked.prompt else PROSE

    own = ("arm=level1_5", "outer.levels.tuner.every=2", "llm.max_unusable=5")
    with Server(script) as server:
        stopped = command(tmp_path, *search(server, *own))
    assert stopped.code == 3, stopped.err
    assert len(trials(journal(tmp_path, arm="level1_5"))) == 5
