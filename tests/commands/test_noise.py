"""The noise command: measured once a seed, kept at once, and read by noise-aware searches."""

import json
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate

from bilevel.commands.noise import main
from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.errors import ConfigError
from bilevel.randomness import keyed
from bilevel.search.seed_noise import (
    UNMEASURED_SD,
    Noise,
    noise_text,
    place,
    save,
    with_measured_noise,
)
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import FailureKind, Outcome, Proposal, Trial
from tests.helpers import Parabola
from tests.kills import Run, Searches

NOISY = ("task=noisy", "tracking=none")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(folder: Path) -> dict[str, object]:
    [path] = folder.glob("mlruns/noise/*/noise.json")
    found: dict[str, object] = json.loads(path.read_text())
    return found


def test_the_deviation_of_the_baseline_is_measured_and_kept(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*NOISY, "repeats=40"]) == 0
    out = capsys.readouterr().out
    assert "sd of one measurement" in out
    assert "kept in mlruns/noise/noisy-" in out
    found = saved(here)
    assert found["metric"] == "val_bpb"
    sd, values = found["sd"], found["values"]
    assert isinstance(sd, float)
    assert isinstance(values, list)
    assert len(values) == len(set(values)) == 40
    assert 0.0045 < sd < 0.009  # the landscape's own is 0.0065


def test_a_measurement_that_stopped_goes_on_and_a_finished_one_measures_nothing_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    real = Surrogate.evaluate

    def stopping(self: Surrogate, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        if len(seeds) == 5:
            raise KeyboardInterrupt
        seeds.append(seed)
        return real(self, parent, proposal, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Surrogate, "evaluate", stopping)
        assert main([*NOISY, "repeats=9"]) == 130
        seeds.append(-1)  # past the stop
        assert main([*NOISY, "repeats=9"]) == 0
    assert len(seeds) - 1 == len(set(seeds) - {-1}) == 9
    first = saved(here)
    monkeypatch.setattr(Surrogate, "evaluate", lambda *_: pytest.fail("measured again"))
    assert main([*NOISY, "repeats=9"]) == 0
    assert saved(here) == first


def test_failed_seeds_are_counted_and_too_few_values_are_an_error(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(share: float) -> None:
        def evaluate(self: Surrogate, parent: object, proposal: object, seed: int) -> Outcome:
            if keyed(seed).random() < share:
                return Outcome.failed(FailureKind.OUT_OF_MEMORY, "no room")
            return Outcome(float(seed % 1000))

        monkeypatch.setattr(Surrogate, "evaluate", evaluate)

    failing(0.5)
    assert main([*NOISY, "repeats=12"]) == 0
    failed = saved(here)["failed"]
    assert isinstance(failed, int)
    assert 0 < failed < 12
    assert f"({failed} failed)" in capsys.readouterr().out
    failing(2.0)
    assert main(["task=trap", "tracking=none", "repeats=3"]) == 1
    assert "0 of 3 seeds gave a value, expected two; the last one: no room" in (
        capsys.readouterr().err
    )


def test_noise_aware_searches_use_it_and_name_the_command_without_it(here: Path) -> None:
    command = ("study=s", "search.trials=5", *NOISY, "acceptance=noise_aware")
    with Searches() as warm:
        assert warm.run(Run(str(here), command)) == 2
        assert "run python -m bilevel noise" in (here / "output.log").read_text()
        assert main([*NOISY, "repeats=6"]) == 0
        assert warm.run(Run(str(here), command)) == 0
    [path] = here.glob("mlruns/searches/s/*/journal.jsonl")
    deciding = json.loads(path.read_text().splitlines()[0])["data"]["deciding"]
    assert deciding["inner.acceptance.sd"] == saved(here)["sd"]


def test_who_needs_the_noise_of_a_task_has_the_measured_one_or_a_default(here: Path) -> None:
    command = ("search.trials=2", *NOISY, "arm=evoscientist")
    with Searches() as warm:
        assert warm.run(Run(str(here), (*command, "study=before"))) == 0
        assert main([*NOISY, "repeats=6"]) == 0
        assert warm.run(Run(str(here), (*command, "study=after"))) == 0
        given = (*command, "study=given", "baseline.proposer.noise_sd=0.5")
        assert warm.run(Run(str(here), given)) == 0
    for study, sd in (("before", 0.001), ("after", saved(here)["sd"]), ("given", 0.5)):
        [path] = here.glob(f"mlruns/searches/{study}/*/journal.jsonl")
        deciding = json.loads(path.read_text().splitlines()[0])["data"]["deciding"]
        for group in ("baseline", "inner"):
            assert deciding[f"{group}.proposer.noise_sd"] == sd


def test_the_values_are_tracked_once(here: Path, migrated: Path) -> None:
    import shutil

    from bilevel.tracking.store import Store

    (here / "mlruns").mkdir()
    shutil.copy(migrated, here / "mlruns" / "mlflow.db")
    for _ in range(2):
        assert main(["task=noisy", "repeats=4"]) == 0
    store = Store(f"sqlite:///{here}/mlruns/mlflow.db", write=False)
    runs = store.runs(store.studies()["noise"], "")
    values = saved(here)["values"]
    [parent] = [run for run in runs if run.tags["kind"] == "noise"]
    assert parent.metrics["sd"] == saved(here)["sd"]
    measured = [r.metrics["value"] for r in runs if r.tags["kind"] == "noise_seed"]
    assert isinstance(values, list)
    assert sorted(measured) == sorted(values)


@pytest.fixture
def stored_zero(here: Path) -> Path:
    """As earlier versions kept it."""
    settings = composed(CONF, [*NOISY, "task.noise_sd=0"])
    folder = place(settings)
    folder.mkdir(parents=True)
    return save(Noise("val_bpb", (1.1, 1.1)), folder)


def test_equal_values_are_no_noise(
    here: Path, capsys: pytest.CaptureFixture[str], stored_zero: Path
) -> None:
    assert main([*NOISY, "task.noise_sd=0", "repeats=3"]) == 2
    told = capsys.readouterr().err
    assert "3 seeds gave the same val_bpb" in told
    assert "task.noise_sd=0 is a landscape without noise" in told
    assert not stored_zero.exists()


def test_a_script_that_no_seed_reaches_is_told_how_to_hand_it_over(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "fit.py").write_text("RATE = 0.5\nSEED = 3\nprint('val_loss:', RATE + SEED)\n")
    parameter = "+task.parameters.RATE={type: float, low: 0.0, high: 1.0}"
    command = ["task=script", "task.file=fit.py", parameter, "tracking=none", "repeats=2"]
    assert main(command) == 2
    told = capsys.readouterr().err
    for way in ("{seed} in task.command", "task.seed_calls", "task.seed_names", "seed_variable"):
        assert way in told
    assert [*here.glob("mlruns/noise/*/noise.json")] == []
    assert main([*command, "task.seed_variable=UNUSED"]) == 2
    assert "handed over by task.seed_variable; see that fit.py uses it" in capsys.readouterr().err
    assert main([*command, "task.seed_names=[SEED]"]) == 0


def test_a_stored_zero_is_no_noise(stored_zero: Path) -> None:
    command = [*NOISY, "task.noise_sd=0"]
    aware = composed(CONF, [*command, "acceptance=noise_aware"])
    with pytest.raises(ConfigError, match="is not there or holds no noise: run python -m"):
        with_measured_noise(aware)
    settings = with_measured_noise(composed(CONF, [*command, "arm=evoscientist"]))
    assert settings["baseline"]["proposer"]["noise_sd"] == UNMEASURED_SD


def test_fresh_measures_anew(here: Path) -> None:
    assert main([*NOISY, "repeats=3"]) == 0
    assert main([*NOISY, "repeats=3", "fresh=true"]) == 0
    assert len([*here.glob("mlruns/noise/*")]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["repeats=1"], "repeats=1: expected a whole number of at least 2"),
        (["repeats=many"], "repeats=many: expected"),
        (["task=nosy"], "did you mean noisy"),
        (["repeat=3"], "repeat is not a setting"),
    ],
)
def test_bad_input_exits_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_intervals_agree_with_tables() -> None:
    """n = 10: chi-square quantiles 19.023 and 2.700; an effect of 1.325 for a power of 80 %."""
    noise = Noise("val_bpb", tuple(float(x) for x in range(10)))
    low, high = noise.sd_interval
    assert noise.sd == pytest.approx(3.02765, abs=1e-5)
    assert low == pytest.approx(3.02765 * (9 / 19.023) ** 0.5, rel=1e-4)
    assert high == pytest.approx(3.02765 * (9 / 2.700) ** 0.5, rel=1e-4)
    assert noise.detectable(10) == pytest.approx(1.325 * 3.02765, rel=1e-2)
    assert noise.detectable(3) is None  # no permutation of six values has a p below 0.1


@pytest.mark.parametrize("n", [3, 8, 20])
def test_the_interval_of_the_deviation_holds_what_it_promises_for_normal_noise(n: int) -> None:
    drawn = np.random.default_rng(n).normal(1.8, 0.01, (600, n))
    found = [Noise("val_bpb", tuple(map(float, values))).sd_interval for values in drawn]
    assert np.mean([low <= 0.01 <= high for low, high in found]) == pytest.approx(0.95, abs=0.025)


def test_what_prompts_say_of_the_noise(here: Path) -> None:
    def noise_of(*overrides: str) -> str:
        settings = composed(CONF, ["task=trap", f"results={here}", *overrides])
        return noise_text(settings, instantiate(settings["task"], _convert_="all"))

    assert "deviation of 0.0009 in val_bpb (as the task itself states)" in noise_of()
    assert "(as this search's acceptance was told)" in noise_of(
        "acceptance=noise_aware", "acceptance.sd=0.5"
    )
    assert noise_of("task.noise_sd=0") == "Noise: none, as the task itself states."
    settings = composed(CONF, ["task=trap", f"results={here}"])
    place(settings).mkdir(parents=True)
    save(Noise("val_bpb", (1.0, 1.25, 1.5)), place(settings))
    told = noise_of()
    assert "deviation of 0.25 in val_bpb (measured on 3 seeds of the baseline)" in told
    assert "larger than 0.69," in told  # 1.96 times the square root of two
    elsewhere = composed(CONF, ["task=trap", f"results={here / 'elsewhere'}"])
    assert noise_text(elsewhere, Parabola()).startswith("Noise: not measured.")
