"""A mechanism that a search wrote becomes a file of the library that anybody can read and use."""

import ast
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bilevel.commands.promote import WIDTH, _with_docstring, _without_docstring, main
from bilevel.commands.transfer import transfer
from bilevel.discovery.transfer import Transfer
from bilevel.journal import read
from tests.kills import ROOT, Searches

SEARCH = ("study=s", "arm=bilevel_judged", "task=trap", "seed=2")
NAMED = ["study=s", "arm=bilevel_judged", "seed=2"]
SHARED = ("search.trials=12", "tracking=none")


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with a finished search in its mlruns."""
    folder = tmp_path_factory.mktemp("project")
    for part in ("bilevel", "conf", "mechanisms"):
        shutil.copytree(ROOT / part, folder / part, True, shutil.ignore_patterns("__pycache__"))
    with Searches() as warm:
        warm.killed(folder, (*SEARCH, *SHARED), [])
    return folder


@pytest.fixture
def measured(
    project: Path,
    invented: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Transfer:
    """The transfer that `promote` asked for, with its own command, but a small one."""
    monkeypatch.chdir(project)
    assert main([*NAMED, f"mechanism={invented['name']}"]) == 2
    refused = capsys.readouterr().err
    assert "holds no transfer of this very text to a held_out half" in refused
    wanted = shlex.split(refused.partition("measure it first: ")[2])
    assert wanted[:4] == ["python", "-m", "bilevel", "transfer"]
    small = ["suite=classics", "inner=random", "llm=none", "repeats=1", "trials=5", "against=tpe"]
    made, path = transfer([*wanted[4:], *small, "workers=1"])
    replace(made, made_with={**made.made_with, "half": "training"}).save(path)
    assert main([*NAMED, f"mechanism={invented['name']}"]) == 2  # it proves nothing
    made.save(path)
    return made


@pytest.fixture(scope="module")
def invented(project: Path) -> dict[str, Any]:
    path = project / "mlruns" / "searches" / "s" / "bilevel_judged-seed2" / "journal.jsonl"
    tried = [e["data"]["proposal"] for e in read(path) if e["kind"] == "trial"]
    [made] = [proposal["mechanism"] for proposal in tried if "mechanism" in proposal]
    assert made["admitted"]
    return dict(made)


def test_promoted_it_is_in_the_library_and_a_search_can_have_it(
    project: Path, invented: dict[str, Any], measured: Transfer
) -> None:
    name = invented["name"]
    done = python(project, "bilevel", "promote", *NAMED, f"mechanism={name}")
    assert (done.returncode, done.stderr) == (0, "")
    written, following = done.stdout.splitlines()
    assert written.endswith(f"conf/mechanisms/{name}.yaml are written")
    for step in ("read it", "python -m bilevel admit ", "tests/mechanisms", f"arm=level1-{name}"):
        assert step in following
    text = (project / "mechanisms" / f"{name}.py").read_text()
    tree = ast.parse(text)
    kind = next(node.name for node in reversed(tree.body) if isinstance(node, ast.ClassDef))
    config = yaml.safe_load((project / "conf" / "mechanisms" / f"{name}.yaml").read_text())
    assert config == {name: {"_target_": f"bilevel.mechanisms.{name}.{kind}"}}
    told = " ".join((ast.get_docstring(tree) or "").split())
    for expected in (
        "Written by scripted (scripted) in study=s arm=bilevel_judged seed=2 on task trap",
        "in session 1 of level 2, after trial 10.",
        "The model was the scripted stand-in",
        f"Domain: {invented['domain']} (the prompt did not suggest it). Carrier: ",
        f"Texts until one was admitted: {len(invented['attempts'])}.",
        f"Bottleneck, as the model saw it: {invented['bottleneck']}",
        f"Behaviour, as specified: {invented['behaviour']}",
        "Prompts, by digest: explore ",
        *([", mend "] if len(invented["attempts"]) > 1 else []),
        "coin.none 2",
        "(one segment of one search: no evidence)",
        f"Judgement of {name}: ",
        " ".join(measured.told().split()),
    ):
        assert expected in told
    own = ast.get_docstring(ast.parse(invented["source"]))
    assert own
    assert told.startswith(" ".join(own.split()))
    docstring = text.partition('"""\n\n')[0].splitlines()
    assert max(map(len, docstring)) <= WIDTH
    linted = python(ROOT, "ruff", "check", f"{project}/mechanisms/{name}.py")
    assert linted.returncode == 0, linted.stdout
    ran = python(project, "bilevel", "study=u", "arm=level1", "task=trap", f"mechanisms={name}",
                 "search.trials=4", "tracking=none")  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    journal = project / "mlruns" / "searches" / "u" / f"level1-{name}-seed1" / "journal.jsonl"
    hooks = [e["data"]["calls"] for e in read(journal) if e["kind"] == "hooks"]
    assert {call["mechanism"] for calls in hooks for call in calls} == {name}
    again = python(project, "bilevel", "promote", *NAMED, f"mechanism={name}")
    assert again.returncode == 2
    assert "exists and is never overwritten" in again.stderr
    assert (project / "mechanisms" / f"{name}.py").read_text() == text


def test_what_cannot_be_promoted_is_told_with_what_can(
    project: Path,
    invented: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project)
    name = invented["name"]
    (tmp_path / "to").mkdir()
    (tmp_path / f"{name}.yaml").write_text("mine: {}\n")
    to, conf = f"to={tmp_path}/to", f"conf={tmp_path}"
    for arguments, said in (
        ([*NAMED], "mechanism=... is missing"),
        (["study=s", "arm=x", "seed=2", "mechanism=a"], "it has: bilevel_judged-seed2"),
        ([*NAMED, "mechanism=nothing"], f"this search invented and admitted: {name}\n"),
        ([*NAMED, f"mechanism={name}", "to=nowhere"], "to=nowhere is no folder"),
        ([*NAMED, f"mechanism={name}", to, conf], f"{name}.yaml exists and is never overwritten"),
        ([*NAMED, f"mechanism={name}", "form=short"], "'form=short' is not an option"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert [*(tmp_path / "to").iterdir()] == []


@pytest.mark.parametrize(
    "source",
    [
        "import math\nX = 1\n",
        '"""Old."""\n\nimport math\nX = 1\n',
        '# -*- coding: latin-1 -*-\n"""Old\n\nand long."""\n\nimport math\nX = 1\n',
        '"Old"; import math\nX = 1\n',
        "'''Old ü''';import math\nX = 1",
        '"""Old."""\nfrom __future__ import annotations\nimport math\nX = 1\n',
    ],
)
def test_the_docstring_takes_the_place_of_the_old_one(source: str) -> None:
    made = _with_docstring(source, ["New."])
    tree, before = ast.parse(made.encode()), ast.parse(source.encode().decode())
    assert ast.get_docstring(tree) == "New."
    code = before.body[1:] if ast.get_docstring(before) else before.body
    assert [ast.dump(node) for node in tree.body[1:]] == [ast.dump(node) for node in code]
    assert "Old" not in _without_docstring(source)


@pytest.mark.parametrize(
    "text",
    [
        'It says """stop""" and ends"',
        "a path C:\\new and a trailing \\",
        "control \x00 \x1b[31m and half \ud800 a letter",
        "long " + "word" * 80 + " and \\" * 60,
        "two\nlines\n\n## and a heading",
    ],
)
def test_whatever_a_model_said_can_stand_in_a_docstring(text: str) -> None:
    made = _with_docstring("X = 1\n", ["First.", text])
    tree = ast.parse(made.encode())
    assert len(tree.body) == 2
    assert compile(tree, "made", "exec")
    told = (ast.get_docstring(tree, clean=False) or "").split()
    assert told[0] == "First."
    assert max(map(len, made.splitlines())) <= WIDTH
