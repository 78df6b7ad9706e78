"""Former names of components, which older journals and configurations still use.

A component is named by the package that exports it (`bilevel.loop.Greedy`), whatever module it is
written in. Whoever renames one, or moves it into another package, adds a line here.
"""

from collections.abc import Mapping
from typing import Any

FORMER = {
    "bilevel.acceptance.Always": "bilevel.loop.Always",
    "bilevel.acceptance.Gain": "bilevel.loop.Gain",
    "bilevel.acceptance.Greedy": "bilevel.loop.Greedy",
    "bilevel.acceptance.NoiseAware": "bilevel.loop.NoiseAware",
    "bilevel.best_of.BestOf": "bilevel.proposers.BestOf",
    "bilevel.executor.Local": "bilevel.workers.Local",
    "bilevel.levels.attaching.Attaching": "bilevel.levels.Attaching",
    "bilevel.levels.inventor.Inventor": "bilevel.levels.Inventor",
    "bilevel.levels.tuner.LLMTuner": "bilevel.levels.LLMTuner",
    "bilevel.llm.client.chat_client": "bilevel.llm.chat_client",
    "bilevel.llm.recorded.recorded_client": "bilevel.llm.recorded_client",
    "bilevel.llm.scripted.scripted_client": "bilevel.llm.scripted_client",
    "bilevel.mechanism_source.load": "bilevel.sandbox.load",
    "bilevel.proposer.LLMProposer": "bilevel.proposers.LLMProposer",
    "bilevel.ray_executor.Ray": "bilevel.workers.Ray",
    "bilevel.sandbox.hosted.Limits": "bilevel.sandbox.Limits",
    "bilevel.tasks.autoresearch.Autoresearch": "bilevel.tasks.Autoresearch",
    "bilevel.tasks.command.CommandTask": "bilevel.tasks.CommandTask",
    "bilevel.tasks.cpu_gpt.task.CpuGpt": "bilevel.tasks.CpuGpt",
    "bilevel.tasks.cpu_gpt_code.task.CpuGptCode": "bilevel.tasks.CpuGptCode",
    "bilevel.tasks.surrogate.Surrogate": "bilevel.tasks.Surrogate",
}
LIBRARIES = {
    "mechanisms": {
        *("as_published", "bandit", "crash_memory", "crossover", "design", "diversification"),
        *("from_baseline", "gaussian_process", "placebo", "reflection", "restart", "tabu"),
    },
    "baselines": {
        *("centaur", "claw_multibatch", "claw_refine", "evoscientist", "iid", "karpathy"),
        *("optuna_search", "random_search", "shared_memory", "smac_search"),
    },
}
"""Packages of their own once, with these modules; today they are `bilevel.mechanisms` and so on."""
TARGET = "_target_"


def current(settings: Any) -> Any:
    """Returns the settings, nested or flat, with every component under its present name."""
    if isinstance(settings, Mapping):
        return {
            key: _name(value) if _names_one(key, value) else current(value)
            for key, value in settings.items()
        }
    if isinstance(settings, list | tuple):
        return [current(value) for value in settings]
    return settings


def _names_one(key: Any, value: Any) -> bool:
    return isinstance(key, str) and key.endswith(TARGET) and isinstance(value, str)


def _name(name: str) -> str:
    library, _, rest = name.partition(".")
    if rest.partition(".")[0] in LIBRARIES.get(library, ()):
        return f"bilevel.{name}"
    return FORMER.get(name, name)
