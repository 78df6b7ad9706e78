"""What the questions of whole searches say: every fact once, and nothing twice."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hydra.utils import instantiate

from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.invention import Admission, GateVerdict
from bilevel.journal import Journal
from bilevel.levels import writing
from bilevel.llm.scripted import respond
from bilevel.search.build import levels
from bilevel.search.seed_noise import noise_text, with_measured_noise
from bilevel.tasks.base import Task
from bilevel.tasks.cpu_gpt.task import CpuGpt
from bilevel.trace import Outcome, Proposal, Trial
from bilevel.view import About
from tests.llm.support import session

FENCED = re.compile(r"```.*?```", re.S)
SHORT = 60  # characters of a line that may well stand twice
HEADERS = ("| trial ", "| --- ")  # two tables may be of one form
ROWS = 4  # lines of code that may well stand twice
NOTHING = Admission(False, (GateVerdict("lint", False, "line 3: no"),))
TASKS = ("trap", "cpu_gpt")


class Trained(CpuGpt):
    """The task without its training: a smaller batch takes more steps."""

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        config: Any = self.configured(parent, proposal)
        steps = 2**17 // config["TOTAL_BATCH_SIZE"] + config["HEAD_DIM"] // 32
        value = 1.8 - steps / 1000 + config["WEIGHT_DECAY"] / 100
        return Outcome(value, metrics={"num_steps": steps, "depth": 2})


def asked(arm: str, task: str, *overrides: str) -> list[str]:
    """Every prompt of a search that the stand-in answers, without the system's words."""
    settings = with_measured_noise(
        composed(CONF, [f"arm={arm}", f"task={task}", "study=s", *overrides])
    )
    made: Task
    if task == "cpu_gpt":
        made = Trained(**{k: v for k, v in settings["task"].items() if k != "_target_"})
    else:
        made = instantiate(settings["task"], _convert_="all")
    found: list[str] = []

    def app(request: dict[str, Any]) -> dict[str, Any]:
        if len(request["messages"]) <= 2:  # no repair
            found.append(request["messages"][-1]["content"])
        return respond(request)

    told = made.describe()
    about = About(told.facts, told.meanings, told.source, noise_text(settings, made))
    journal = Journal(None)
    asker = session(app, journal, seed=settings["seed"], api_key_env=None).asker
    loops = levels(settings, made, journal=journal, asker=asker, observers=[], about=about)
    loops[-1].run()
    return found


@pytest.fixture(scope="module")
def searches() -> Mapping[str, Sequence[str]]:
    def refuses(*_: object) -> Admission:
        return NOTHING

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "admit", refuses)
        short = ("search.trials=22", "sandbox=unsafe")
        return {
            "trap": asked("bilevel", "trap", *short),
            "cpu_gpt": asked("bilevel", "cpu_gpt", *short),
            "free": asked("bilevel_screened", "trap", *short),
            "tabu": asked("tabu", "trap"),
            "centaur": asked("centaur", "trap"),
            "claw": asked("claw_multibatch", "trap"),
            "evoscientist": asked("evoscientist", "trap"),
        }


def titled(prompts: Sequence[str], title: str) -> list[str]:
    return [prompt for prompt in prompts if prompt.startswith(f"# {title}")]


def test_every_kind_of_question_was_asked(searches: Mapping[str, Sequence[str]]) -> None:
    for task in TASKS:
        kinds = {prompt.splitlines()[0] for prompt in searches[task]}
        assert len(kinds) == 7, kinds  # propose, tune, explore, critique, specify, generate, mend


@pytest.mark.parametrize(
    "search", ["trap", "cpu_gpt", "free", "tabu", "centaur", "claw", "evoscientist"]
)
def test_nothing_stands_twice_in_a_prompt(
    searches: Mapping[str, Sequence[str]], search: str
) -> None:
    assert searches[search]
    for prompt in searches[search]:
        lines = FENCED.sub("", prompt).splitlines()
        plain = [line.strip() for line in lines if not line.startswith(HEADERS)]
        again = [line for line, n in Counter(plain).items() if n > 1 and len(line) > SHORT]
        assert not again, prompt.splitlines()[0]
        code = [line.strip() for line in prompt.splitlines() if line.strip()]
        pieces = Counter("\n".join(code[at : at + ROWS]) for at in range(len(code) - ROWS + 1))
        repeated = [piece for piece, n in pieces.items() if n > 1 and len(piece) > 4 * SHORT]
        assert not repeated, prompt.splitlines()[0]


def test_every_candidate_is_asked_for_with_those_before_it(
    searches: Mapping[str, Sequence[str]],
) -> None:
    found = titled(searches["free"], "Write the best general mechanism")
    assert len(found) == 8
    written = [prompt.count("(just now, no score yet)") for prompt in found]
    assert written == [0, 1, 2, 3] * 2
    for prompt in found[4:]:
        assert "- These 4, scored on nothing: no gate let any of them in" in prompt
    assert all("Noise: " in prompt for prompt in found)
    assert "decides 1 of them. Fresh seeds on which baseline and best" in found[0]


@pytest.mark.parametrize("task", TASKS)
def test_a_value_and_a_range_stand_once(searches: Mapping[str, Sequence[str]], task: str) -> None:
    for prompt in titled(searches[task], "Propose the next"):
        assert prompt.count("a number in [0.02, 10]" if task == "cpu_gpt" else "[0.01, 2]") == 1
        assert "EMBEDDING_LR = " not in prompt


GPT_FACTS = (
    "train.py pretrains a small GPT",
    "A run has 10 modelled seconds",
    "One modelled second pays for 37 billion multiply-adds",
    "Sequences have 128 tokens, the vocabulary 2048",
)
NOISE = "standard deviation of 0.0009 in val_bpb (as the task itself states)"


@pytest.mark.parametrize("title", ["Propose the next", "Tune the search", "Find what holds"])
def test_the_experiment_and_its_noise_are_told(
    searches: Mapping[str, Sequence[str]], title: str
) -> None:
    for prompt in titled(searches["cpu_gpt"], title):
        for fact in (*GPT_FACTS, "Noise: not measured."):
            assert prompt.count(fact) == 1, fact
    for prompt in titled(searches["trap"], title):
        assert prompt.count("A formula answers in place of a training run") == 1
        assert prompt.count(NOISE) == 1


def test_a_proposer_reads_the_script_its_meanings_tries_and_steps(
    searches: Mapping[str, Sequence[str]],
) -> None:
    prompt = titled(searches["cpu_gpt"], "Propose the next")[-1]
    for told in (
        "sees = {",  # how a window pattern is used
        "| range | tried | what it is |",
        "| tokens in one optimiser step |",
        "| never |",
        '- WINDOW_PATTERN: "SSSL" = "SSSS" = "SL"; "L" = "LLLS"',
        "| decision | num_steps |",
        "The same in all of them: depth 2.",
        "DEPTH=2 (transformer layers)",
        "change two or three together",
        "(given before trial ",
    ):
        assert told in prompt, told
    rows = [line for line in prompt.splitlines() if re.match(r"\| \d+ \| \d+ \|", line)]
    assert len(rows) == len([line for line in rows if "->" in line or "unusable" in line])


def test_a_tuner_reads_ranges_meanings_the_script_and_a_streak_that_is_true(
    searches: Mapping[str, Sequence[str]],
) -> None:
    for prompt in titled(searches["cpu_gpt"], "Tune the search"):
        for told in ("| parameter | value | range | tries | gains |", "sees = {", "DEPTH=2 ("):
            assert told in prompt, told
        decisions = re.findall(r"^\| \d+ \|.*\| (keep|discard|fail)[ ,]", prompt, re.M)
        streak = len(decisions) - 1 - max(i for i, d in enumerate(decisions) if d == "keep")
        expected = f"{streak} experiments, none of them kept" if streak else "no experiment"
        assert f"Since the last gain: {expected}." in prompt


def test_a_research_session_reads_the_interface_and_what_becomes_of_its_mechanism(
    searches: Mapping[str, Sequence[str]],
) -> None:
    (specify, *_) = titled(searches["trap"], "Specify the mechanism")
    for told in ("class View:", "class Trial:", "class SearchSpace:", "it replaces none", "a turn"):
        assert told in specify, told
    for prompt in titled(searches["trap"], "Write the mechanism"):
        assert "every other one is theirs" in prompt
        assert "is not asked there" in prompt


def test_a_parent_other_than_the_incumbent_is_seen(
    searches: Mapping[str, Sequence[str]],
) -> None:
    prompt = titled(searches["trap"], "Propose the next")[-1]
    parents = set(re.findall(r"^\| \d+ \| (\d+) \|", prompt, re.M))
    assert len(parents) > 1
