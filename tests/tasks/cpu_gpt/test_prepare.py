"""A corpus is made once, whole, and the same for everyone who asks."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.metadata import requires, version
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from bilevel.errors import BadInput, TaskError
from bilevel.tasks.cpu_gpt import corpus as layout
from bilevel.tasks.cpu_gpt import prepare as module
from bilevel.tasks.cpu_gpt.corpus import Corpus
from bilevel.tasks.cpu_gpt.prepare import prepare
from bilevel.tasks.cpu_gpt.texts import texts_of_file, texts_of_wheel


def command(text: Path, cache: Path) -> list[str]:
    module_name = "bilevel.tasks.cpu_gpt.prepare"
    return [sys.executable, "-m", module_name, "--text", str(text), "--cache", str(cache)]


def test_two_processes_at_once_make_one_corpus(text_file: Path, tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(command(text_file, tmp_path), stdout=pipe, stderr=pipe, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert sum(" made in " in err for _, err in outputs) == 1
    folders = [path for path in (tmp_path / "cpu_gpt").iterdir() if path.is_dir()]
    assert [folder.name.split("-")[0] for folder in folders] == ["text"]


def test_another_process_makes_the_same_bytes(
    text_file: Path, tmp_path: Path, corpus: Corpus
) -> None:
    done = subprocess.run(
        command(text_file, tmp_path), capture_output=True, text=True, check=True, timeout=120
    )
    assert f"digest: {corpus.digest}" in done.stdout


def test_a_cached_corpus_is_opened_quickly_and_unchanged(
    text_file: Path, corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.process_time()
    again = prepare(text_file, corpus.folder.parent.parent)
    assert time.process_time() - started < 0.05
    assert again == corpus
    assert capsys.readouterr().err == ""


def test_token_bytes_add_up_to_the_text(text_file: Path, corpus: Corpus) -> None:
    sizes = corpus.token_bytes()
    texts = texts_of_file(text_file)
    assert sizes[corpus.train_tokens()].sum() == len(texts.train[0].encode())
    assert sizes[corpus.validation_tokens()].sum() == len(texts.validation[0].encode())
    assert corpus.train_tokens().max() < corpus.vocab_size == len(sizes)


def test_validation_is_the_end_of_the_text_in_whole_lines(text_file: Path) -> None:
    texts = texts_of_file(text_file)
    assert texts.train[0] + texts.validation[0] == text_file.read_text()
    assert texts.train[0].endswith("\n")
    assert len(texts.validation[0]) / text_file.stat().st_size == pytest.approx(0.06, abs=0.01)


@pytest.mark.parametrize("name", [*layout.FILES, layout.META])
@pytest.mark.parametrize("how", ["truncated", "removed"])
def test_a_damaged_cache_is_made_again(
    name: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("some words on a line\n" * 50)
    made = prepare(text, tmp_path)
    path = made.folder / name
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3])
    capsys.readouterr()
    assert prepare(text, tmp_path) == made
    assert "making it again" in capsys.readouterr().err
    assert layout.open_corpus(made.folder) == made


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("some words on a line\n" * 50)
    made = prepare(text, tmp_path)
    left_behind = made.folder.with_name(f".building-{made.folder.name}-xyz")
    made.folder.rename(left_behind)
    (left_behind / layout.META).unlink()
    assert prepare(text, tmp_path) == made
    assert not left_behind.exists()


def test_another_text_gets_another_folder(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("some words on a line\n" * 50)
    first = prepare(text, tmp_path)
    text.write_text("other words on a line\n" * 50)
    second = prepare(text, tmp_path)
    assert first.folder != second.folder
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"abc \xff\n" * 9, "not UTF-8"),
        (b"one line", "1 lines"),
        (b"", "0"),
    ],
)
def test_texts_that_cannot_be_used_are_explained(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    if content is not None:
        text.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        prepare(text, tmp_path)
    assert module.main(["--text", str(text), "--cache", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_a_cache_folder_that_cannot_be_made_is_explained(text_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="BILEVEL_CACHE"):
        prepare(text_file, tmp_path / "file")


def test_the_environment_names_the_cache(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILEVEL_CACHE", str(tmp_path))
    assert prepare(text_file).folder.parent.parent == tmp_path


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "other.whl"
    wheel.write_bytes(b"not the one")
    with pytest.raises(TaskError, match="expected 0108b5604df5"):
        texts_of_wheel(wheel)


def test_a_failed_download_tells_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(TaskError, match="--text FILE"):
        prepare(cache=tmp_path)
    assert not [p for p in (tmp_path / "cpu_gpt").iterdir() if p.is_dir()]


def test_other_bytes_are_refused_and_the_remedy_can_be_installed(tmp_path: Path) -> None:
    for name in module.DEFAULT_SHA256:
        (tmp_path / name).write_bytes(b"other")
    with pytest.raises(TaskError, match=rf"pip install tokenizers=={module.MADE_WITH}$") as told:
        module._check_frozen(tmp_path)
    assert f"tokenizers {version('tokenizers')} encodes differently" in str(told.value)
    needs = [Requirement(one) for one in requires("bilevel") or ()]
    assert module.MADE_WITH in next(one.specifier for one in needs if one.name == "tokenizers")


@pytest.mark.network
@pytest.mark.slow
def test_the_default_corpus_has_the_frozen_bytes(tmp_path: Path) -> None:
    made = prepare(cache=tmp_path)
    meta = json.loads((made.folder / layout.META).read_text())
    assert meta["sha256"].items() >= module.DEFAULT_SHA256.items()
    assert made.vocab_size == 2048
    assert np.median(made.token_bytes()) > 2
