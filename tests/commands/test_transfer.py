from pathlib import Path

import pytest

from bilevel.commands.transfer import main, transfer
from bilevel.discovery.transfer import Transfer, kept_of
from bilevel.discovery.written import digest_of
from bilevel.errors import BadInput
from tests.discovery.mechanisms import GOOD, REFUSED

SMALL = ["suite=classics", "inner=random", "llm=none", "repeats=1", "trials=5", "workers=1"]


def test_a_curated_mechanism_beside_other_arms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*SMALL, "mechanism=tabu", "against=tpe", f"results={tmp_path}"]
    assert main(given) == 0
    printed = capsys.readouterr().out
    words = " ".join(printed.split())
    for word in ("random + tabu", "tpe", "lead over", "(Holm)", "held_out: 2 tasks", "ms a hook"):
        assert word in words
    made = Transfer.load(tmp_path / "transfer" / "tabu-classics-held_out.json")
    assert list(made.cells) == ["random + tabu", "random", "tpe"]
    assert {cell.task for cell in made.cells["tpe"]} == {"plateau", "noisy"}


def test_a_generated_one_passes_the_gates_first(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(GOOD)
    given = [*SMALL, f"mechanism={tmp_path}/mine.py", "against=", f"results={tmp_path}"]
    with pytest.raises(BadInput, match="is not an option"):
        transfer(given)
    given.remove("against=")
    made, path = transfer([*given, "against=tpe", "half=training"])
    assert path.name == f"mine-{digest_of(GOOD)[:8]}-classics-training.json"
    assert made.made_with["digest"] == digest_of(GOOD)
    assert made.hooks["random + mine"].calls >= 10
    assert made.hooks["tpe"].calls == 0
    assert kept_of(tmp_path, digest_of(GOOD), "training") == [made]
    assert kept_of(tmp_path, digest_of(GOOD), "held_out") == []
    assert max(cell.taken for cell in made.cells["random + mine"]) > 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mechanism=nobody"], "expected one of"),
        (["mechanism=gone.py"], "there is no such file"),
        (["mechanism=tabu", "arm=tpe"], "the arm that searches the tasks is inner=level1"),
        (["mechanism=a", "study=s", "arm=bilevel"], "there is no study s"),
        (["mechanism=tabu", "half=other"], "expected one of training, held_out"),
        (["mechanism=tabu", "repeats=many"], "repeats=many"),
        (["mechanism=tabu", "hook_limit_s=soon"], "hook_limit_s=soon"),
        ([], "mechanism=... is missing"),
    ],
)
def test_what_cannot_be_measured_is_told(arguments: list[str], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        transfer([*SMALL, *arguments])
    assert said in str(refused.value)


def test_a_text_that_a_gate_refuses(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(REFUSED)
    with pytest.raises(BadInput, match="is not admitted: lint"):
        transfer([*SMALL, f"mechanism={tmp_path}/bad.py", f"results={tmp_path}"])
