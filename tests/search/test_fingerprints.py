"""What decides a search is what decided it before: its fingerprint, for every arm and task.

`python -m tests.search.test_fingerprints` writes them anew; whoever does so ends every study that
goes on.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.search.identity import identify

RECORDED = Path(__file__).with_name("fingerprints.json")
ARMS = sorted(file.stem for file in (CONF / "arm").glob("*.yaml"))
SCRIPT = ["task.file=bilevel/tasks/examples/digits.py", "+task.parameters.L2={type: float}"]
TASKS = {
    "trap": ["task=trap"],
    "cpu_gpt": ["task=cpu_gpt"],
    "script": ["task=script", *SCRIPT, "task.environment=[HOME]", "+task.script_name=x.py"],
    "autoresearch": ["task=autoresearch", "task.checkout=/nowhere"],
    "cpu_gpt_code": ["task=cpu_gpt_code", "sandbox.layer=unsafe"],
}
OTHERS = {
    "deepseek": ["llm=deepseek", "llm.base_url=http://127.0.0.1:1/v1"],
    "replay": ["llm=replay", "llm.study=other", "llm.max_calls=3"],
    "no model": ["llm=none", "llm.max_usd=3", "llm.max_unusable=3"],
    "ray": ["executor=ray", "tracking=none", "acceptance=noise_aware"],
    "elsewhere": ["llm.timeout_s=9", "sandbox=unsafe", "sandbox.call_s=9", "fresh=true"],
    "one memory": ["arm=evoscientist_study", "results=/elsewhere"],
}


def fingerprints() -> Iterator[tuple[str, str]]:
    """Of every arm with every task, which is put in its place, and of some more."""
    tasks = {name: composed(CONF, chosen)["task"] for name, chosen in TASKS.items()}
    for arm in ARMS:
        settings: dict[str, Any] = composed(CONF, [f"arm={arm}", "task=trap"])
        for name, task in tasks.items():
            yield f"{arm} {name}", identify({**settings, "task": task}).fingerprint
    for name, chosen in OTHERS.items():
        yield name, identify(composed(CONF, ["task=trap", *chosen])).fingerprint


def test_fingerprints_are_what_they_were() -> None:
    recorded = json.loads(RECORDED.read_text())
    found = dict(fingerprints())
    assert {name: found.get(name) for name in recorded} == recorded


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(dict(fingerprints()), indent=1) + "\n")
