"""The stand-in as a programmer: what it writes applies, or is broken in a way that models know."""

import json
from collections import Counter
from random import Random

from bilevel.baselines.karpathy import SCHEMA
from bilevel.llm.prompts import fenced
from bilevel.llm.reply import checked
from bilevel.llm.scripted import respond
from bilevel.llm.scripted.editing import CHANGES, CRASHES, ERRORS, edit
from bilevel.llm.scripted.reading import Reading, read
from bilevel.tasks.cpu_gpt.task import SCRIPT
from bilevel.tasks.edits import Edit, applied, unparsable

TRAIN = SCRIPT.read_text()


def reading(script: str = TRAIN, more: str = "") -> Reading:
    return read(f"## The script\n\n{fenced(script)}\n{more}")


def edited(read_by_it: Reading, seed: int) -> str:
    """What a reply makes of the script. Raises ValueError where it does not match."""
    reply = edit(read_by_it, Random(seed))
    if reply["script"]:
        return str(reply["script"])
    script = read_by_it.fenced["The script"] + "\n"
    return applied(script, [Edit(one["search"], one["replace"]) for one in reply["edits"]])


def outcome(seed: int) -> str:
    try:
        text = edited(reading(), seed)
    except ValueError as error:
        return "two matches" if "occurs" in str(error) else "no match"
    if unparsable(text, "train.py"):
        return "syntax error"
    return "crash" if any(broken in text for _, broken in CRASHES) else "sound"


def test_most_edits_are_sound_and_the_others_are_broken_in_each_way() -> None:
    found = Counter(outcome(seed) for seed in range(80))
    assert set(found) == {"sound", "no match", "two matches", "syntax error", "crash"}
    assert len(ERRORS) == 4
    assert 0.6 < found["sound"] / 80 < 0.9


def test_every_change_that_it_knows_applies_to_the_script_and_parses() -> None:
    for change in CHANGES:
        assert not unparsable(applied(TRAIN, [Edit(change.search, change.replace)]), "train.py")
    for sound, broken in CRASHES:
        assert not unparsable(applied(TRAIN, [Edit(sound, broken)]), "train.py")


def test_it_does_not_repeat_a_change_that_it_is_shown() -> None:
    told = "".join(f"Trial 1: discard. {c.why[:1].upper()}{c.why[1:]}.\n" for c in CHANGES)
    shown = reading(more=f"## Experiments so far\n\n{told}")
    texts = [edit(shown, Random(seed))["hypothesis"] for seed in range(60)]
    assert all("from" in text and "should improve" in text for text in texts)


def test_it_takes_a_crash_back_when_it_is_asked_to_mend_it() -> None:
    sound, broken = CRASHES[0]
    crashed = reading(TRAIN.replace(sound, broken), "## The error\n\nNameError\n")
    mended = [edited(crashed, seed) == TRAIN for seed in range(40)]
    assert 20 < sum(mended) < 40


def test_it_edits_any_script() -> None:
    small = reading("RATE = 0.1  # of learning\nprint(RATE)\n")
    replies = [edit(small, Random(seed)) for seed in range(20)]
    assert all("RATE" in reply["hypothesis"] for reply in replies)
    assert edit(reading("pass\n"), Random(2))["edits"]


def test_it_answers_in_the_form_that_is_asked_for() -> None:
    schema = fenced(json.dumps(SCHEMA), "json")
    prompt = f"## The script\n\n{fenced(TRAIN)}\n\n## Reply format\n\n{schema}\n"
    messages = [{"role": "user", "content": prompt}]
    for seed in range(5):
        text = respond({"messages": messages, "seed": seed})["choices"][0]["message"]["content"]
        value, problem = checked(text, SCHEMA)
        assert not problem
        assert value["edits"] or value["script"]
