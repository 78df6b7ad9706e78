"""Every configuration composes, and everything it names can be made."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from bilevel.commands.run import help_text
from bilevel.config.checks import check
from bilevel.config.declared import Level, Outer
from bilevel.config.files import CONF
from bilevel.config.overrides import plain
from bilevel.errors import ConfigError
from bilevel.journal import Journal
from bilevel.levels.context import CONTEXTS
from bilevel.levels.inventor import FRAMINGS
from bilevel.mechanism import Mechanism
from bilevel.sandbox.worker_handle import LAYERS, Limits
from bilevel.search.build import levels
from bilevel.search.dry_run import plan
from bilevel.search.identity import identify
from bilevel.search.seed_noise import with_measured_noise
from bilevel.settings import settings_of
from bilevel.tasks import Bbob, BladeMaBbob, CpuGptCode, Landscape, MaBbob, constants
from bilevel.tasks.base import Task
from bilevel.tasks.cpu_gpt.task import SCRIPT
from bilevel.tasks.examples import digits
from bilevel.tasks.surrogate import Surrogate
from bilevel.view import nobody

GROUPS = {
    folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
    for folder in CONF.iterdir()
    if folder.is_dir()
}
SCRIPTS = {"autoresearch", "cpu_gpt", "cpu_gpt_code", "script"}  # tasks that run one
EXTRAS = {"smac": "smac", "bbob": "ioh", "ma_bbob": "ioh", "blade_ma_bbob": "iohblade"}
"""Choices and the optional package that each needs."""
FORMULAS: dict[str, type[Task]] = {
    "landscape": Landscape,
    "bbob": Bbob,
    "ma_bbob": MaBbob,
    "blade_ma_bbob": BladeMaBbob,
}
DISCOVERING = ("discover", "discover_archive", "discover_blind", "discover_iid")
EDITORS = {"karpathy": "cpu_gpt_code", **dict.fromkeys(DISCOVERING, "suite")}
"""Arms whose proposals are texts, and not values of parameters, and their tasks."""

MINE = ["task.file=x.py", "+task.parameters.X={type: float, low: 0, high: 1}"]
CHOICES = [
    (group, choice)
    for group, choices in GROUPS.items()
    if group != "experiment"
    for choice in choices
]


def composed(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONF), version_base=None):
        return plain(compose("config", overrides=list(overrides)))


NEEDED = {  # by choices that cannot be run alone
    "task=cpu_gpt_code": ["arm=karpathy"],
    "task=suite": ["arm=discover"],
    "inner=discover": ["task=suite"],
    "acceptance=paired": ["arm=discover"],
    "task=script": [
        f"task.file={digits.__file__}",
        "+task.parameters.HIDDEN={type: int, low: 8, high: 512}",
    ],
    "inner=baseline": ["baseline=tpe"],
    "acceptance=noise_aware": ["acceptance.sd=0.001"],
}


@pytest.mark.parametrize(("group", "choice"), CHOICES, ids=lambda x: x)
def test_every_choice_composes_and_can_be_planned(group: str, choice: str) -> None:
    if choice in EXTRAS:
        pytest.importorskip(EXTRAS[choice])
    chosen = f"{group}={choice}"
    settings = with_measured_noise(composed(chosen, *NEEDED.get(chosen, [])))
    check({**settings, "dry_run": True})
    seeds = 1 if "discover" in settings["arm"] else 5
    halves = 2 if settings["task"]["name"] == "landscapes" else 1
    assert plan(settings).others == 1 + 2 * halves * seeds


@pytest.mark.parametrize("experiment", GROUPS["experiment"])
def test_every_experiment_composes(experiment: str) -> None:
    assert plan(composed(f"+experiment={experiment}")).trials > 0


def swept() -> list[tuple[str, str]]:
    """Every experiment with each of its arms."""
    found = []
    for experiment in GROUPS["experiment"]:
        written = yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())
        arms = written.get("hydra", {}).get("sweeper", {}).get("params", {}).get("arm", "")
        found += [(experiment, arm.strip()) for arm in arms.split(",") if arm.strip()]
    return found


@pytest.mark.parametrize(("experiment", "arm"), swept())
def test_level_2_is_shown_source_in_the_paper_s_studies_only(experiment: str, arm: str) -> None:
    task = [f"task={EDITORS[arm]}"] if arm in EDITORS else []
    settings = composed(f"+experiment={experiment}", f"arm={arm}", *task)
    check({**settings, "dry_run": True})
    inventor = settings["outer"]["levels"].get("inventor")
    inventing = {"bilevel", "level2", "bilevel_judged", "sham", "as_published"}
    assert (inventor is not None) == (arm in inventing)
    if inventor is not None:
        wanted = "source" if experiment.startswith("paper") else "interface"
        assert inventor["proposer"]["context"] == wanted


def test_what_level_2_is_shown_can_be_set_and_the_control_of_tokens_goes_by_it() -> None:
    spent = []
    for overrides, wanted in (([], "interface"), (["outer.context=source"], "source")):
        made = composed("arm=bilevel_judged", *overrides)["outer"]["levels"]["inventor"]
        assert made["proposer"]["context"] == wanted
        control = composed("arm=level1_tokens", *overrides)["inner"]
        spent.append(control["proposer"]["extra_tokens_a_trial"])
        assert spent[-1] == control["as_bilevel"][wanted]
    assert spent[0] < spent[1]
    told = "context='code': expected one of interface, source"
    for arm, key in (("level1", "outer"), ("level2", "outer.levels.inventor.proposer")):
        with pytest.raises(ConfigError, match=told):
            check(composed(f"arm={arm}", f"{key}.context=code"))
    for said, known in ((settings_of(Outer)["context"], CONTEXTS),
                        (settings_of(Level)["session"], FRAMINGS)):  # fmt: skip
        assert said.expected == f"one of {', '.join(known)}"
        assert all(said.allows(one) for one in known)


def test_how_a_mechanism_is_asked_for_can_be_set_and_decides() -> None:
    free, usual = (
        identify(composed("arm=level2", *more)).deciding
        for more in (["outer.levels.inventor.session=free"], [])
    )
    keys = {key for key in usual if free[key] != usual[key]}
    assert keys == {"outer.levels.inventor.proposer.session"}
    with pytest.raises(ConfigError, match="session='x': expected one of diagnose, free"):
        check(composed("arm=level2", "outer.levels.inventor.session=x"))


def test_how_many_searches_of_a_screening_run_at_a_time_decides_nothing() -> None:
    key = "outer.levels.inventor.screening"
    found = [
        identify(composed("arm=bilevel_screened", f"{key}.{setting}")).fingerprint
        for setting in ("workers=1", "workers=3", "trials=5")
    ]
    assert found[0] == found[1] != found[2]


def test_the_arm_of_a_screening_may_ask_no_model() -> None:
    config = composed("arm=bilevel_screened", "outer.levels.inventor.screening.inner=level1")
    with pytest.raises(ConfigError, match="choose an arm without one"):
        levels(config, Surrogate("trap"), journal=Journal(None), asker=nobody, observers=[])


@pytest.mark.parametrize("arm", GROUPS["arm"])
def test_an_arm_is_named_as_its_file_and_builds_its_loops(arm: str) -> None:
    if arm in EXTRAS:
        pytest.importorskip(EXTRAS[arm])
    task_of_it = EDITORS.get(arm, "trap")
    config = with_measured_noise(composed(f"arm={arm}", f"task={task_of_it}"))
    assert config["arm"] == arm
    task = instantiate(config["task"], _convert_="all")
    loops = levels(config, task, journal=Journal(None), asker=nobody, observers=[])
    numbers = [loop.level for loop in loops]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("arm", ["level1", "random", "restart"])
def test_a_script_s_text_is_not_searched_as_a_value(arm: str) -> None:
    config = composed(f"arm={arm}", "task=cpu_gpt_code")
    task = instantiate(config["task"], _convert_="all")
    with pytest.raises(ConfigError, match=r"by editing train\.py: choose arm=karpathy"):
        levels(config, task, journal=Journal(None), asker=nobody, observers=[])


def test_a_group_chosen_on_the_command_line_beats_the_arm() -> None:
    assert "tabu" in composed("arm=restart", "mechanisms=tabu")["mechanisms"]
    both = composed("arm=level1", "mechanisms=[tabu,placebo]")["mechanisms"]
    assert set(both) == {"tabu", "placebo"}


@pytest.mark.parametrize("choice", GROUPS["mechanisms"])
def test_mechanisms_can_be_made(choice: str) -> None:
    for spec in (composed(f"mechanisms={choice}")["mechanisms"] or {}).values():
        assert isinstance(instantiate(spec), Mechanism)


@pytest.mark.parametrize("choice", sorted({*GROUPS["task"]} - SCRIPTS - {*FORMULAS, "suite"}))
def test_surrogates_can_be_made(choice: str) -> None:
    task = instantiate(composed(f"task={choice}")["task"], _convert_="all")
    assert isinstance(task, Surrogate)
    assert task.name == (choice if choice != "surrogate" else "trap")


@pytest.mark.parametrize("choice", FORMULAS)
def test_formulas_can_be_made_and_are_named_as_they_name_themselves(choice: str) -> None:
    if choice in EXTRAS:
        pytest.importorskip(EXTRAS[choice])
    settings = composed(f"task={choice}")["task"]
    task = instantiate(settings, _convert_="all")
    assert isinstance(task, FORMULAS[choice])
    assert task.name == instantiate({**settings, "name": ""}, _convert_="all").name


def test_the_benchmark_s_parameters_are_its_script_s_constants() -> None:
    task = composed("task=cpu_gpt")["task"]
    own = constants.read(SCRIPT.read_text(), list(task["parameters"]))
    assert own["TOTAL_BATCH_SIZE"] == 2**13
    assert set(task["locked"]) == {"DEPTH", "ASPECT_RATIO"}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ([], r"task\.file='\?\?\?': expected a path"),
        (["task.file=x.py"], r"task\.parameters=\{\}: expected at least one parameter"),
        ([*MINE, "task.direction=up"], "expected minimize or maximize"),
        ([*MINE, "task.command=[]"], "expected a command as a list of words"),
        ([*MINE, "task.files=a.csv"], "expected a list of names"),
        ([*MINE, "task.metric_pattern=3"], "expected a regular expression"),
        ([*MINE, "task.environment=[sk-secret-1]"], r"task\.environment=\(hidden\)"),
        (["task=autoresearch", "task.checkout=/x", "task.prepare_sha256=abc"], "expected a sha256"),
        (["task=autoresearch", "task.checkout=null"], "environment variable AUTORESEARCH"),
        (["task=cpu_gpt_code", "task.cpu_factor=0"], "cpu_factor=0: expected a positive number"),
        (["task=cpu_gpt_code", "task.memory_mib=1.5"], "expected a whole number of at least 1"),
        (["task=cpu_gpt_code", "task.layer=paper"], "task.layer='paper': expected one of confined"),
    ],
)
def test_a_script_s_settings_are_checked(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check(composed("task=script", *overrides))


def test_every_layer_of_the_sandbox_is_legal_and_named() -> None:
    for component in (CpuGptCode, Limits):
        said = settings_of(component)["layer"]
        assert all(said.allows(layer) and layer in said.expected for layer in LAYERS)


def test_a_dry_run_needs_no_checkout() -> None:
    check(composed("task=autoresearch", "task.checkout=null", "dry_run=true"))


@pytest.mark.parametrize("choice", GROUPS["tracking"])
def test_trackers_can_be_made(choice: str) -> None:
    assert instantiate(composed(f"tracking={choice}")["tracking"]).problem == ""


@pytest.mark.parametrize("choice", GROUPS["llm"])
def test_presets_keep_the_pinned_names_and_no_key(choice: str) -> None:
    llm = composed(f"llm={choice}")["llm"]
    assert llm["name"] == choice
    if choice not in {"none", "replay"}:
        assert {"base_url", "model", "timeout_s", "api_key_env"} <= set(llm)


def test_the_help_names_every_choice() -> None:
    shown = help_text()
    for name in itertools.chain(GROUPS, *GROUPS.values()):
        assert name in shown
    assert Path(CONF).name not in GROUPS
    for command in ("report", "replay", "sync", "admit", "promote", "noise", "ui", "--cfg job"):
        assert command in shown
    assert "130 stopped by" in shown


def test_caps_of_a_sweep_can_be_given_to_an_arm_without_a_model() -> None:
    llm = composed("arm=random", "llm.max_calls=3", "llm.max_total_tokens=9", "llm.max_usd=1")[
        "llm"
    ]
    assert (llm["name"], llm["max_calls"], llm["_target_"]) == ("none", 3, None)
