"""The presets in conf: complete, without keys in them, and usable as they are."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from bilevel.errors import ConfigError
from bilevel.levels.tuner import LLMTuner
from bilevel.llm.client import ChatClient
from bilevel.llm.scripted.server import listen
from bilevel.proposers.llm import LLMProposer
from bilevel.tasks.surrogate import Surrogate
from tests.llm.support import MESSAGES, SCHEMA

CONF = Path(__file__).parents[2] / "conf"
PRESETS = ("openai", "deepseek", "local", "scripted")


def preset(name: str, **changes: Any) -> ChatClient:
    loaded = OmegaConf.load(CONF / "llm" / f"{name}.yaml")
    made = instantiate(OmegaConf.merge(loaded, changes))
    assert isinstance(made, ChatClient)
    return made


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_every_key(name: str) -> None:
    keys = OmegaConf.load(CONF / "llm" / f"{name}.yaml").keys()
    assert list(keys) == list(OmegaConf.load(CONF / "llm" / "scripted.yaml").keys())
    assert {"base_url", "model", "timeout_s"} <= set(keys)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_work_as_they_are_or_name_the_missing_key(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = preset(name)
    assert made.endpoint.name == name
    variable = made.endpoint.api_key_env
    if variable is not None:
        monkeypatch.delenv(variable, raising=False)
        with pytest.raises(ConfigError, match=rf"{variable}.*llm=scripted"):
            made.endpoint.check()
        monkeypatch.setitem(os.environ, variable, "sk-test")
    made.endpoint.check()


@pytest.mark.parametrize("name", PRESETS)
def test_the_pinned_names_can_be_overridden(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`llm=NAME llm.base_url=http://...` talks to that server, whatever the preset."""
    for variable in ("OPENAI_API_KEY", "DEEPSEEK_API_KEY"):
        monkeypatch.setenv(variable, "sk-test")
    server, url = listen(0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with server, preset(name, base_url=url, model="other", timeout_s=9) as made:
        assert made.endpoint.place.url == url
        assert (made.endpoint.model, made.endpoint.timeout_s) == ("other", 9)
        assert made.complete(MESSAGES, schema=SCHEMA).text
        server.shutdown()
    thread.join()


def test_the_proposer_and_the_tuner_are_wired() -> None:
    config = OmegaConf.create({"llm": {"temperature": 0.3}})
    inner = OmegaConf.merge(config, OmegaConf.load(CONF / "inner" / "llm.yaml"))
    space = Surrogate("trap").space
    proposer = instantiate(inner.proposer)(space)
    assert isinstance(proposer, LLMProposer)
    expected = LLMProposer(space, temperature=0.3)
    assert proposer.settings.baseline == expected.settings.baseline
    outer = OmegaConf.load(CONF / "outer" / "tuner.yaml")
    assert isinstance(instantiate(outer.levels.tuner.proposer), LLMTuner)
    assert outer.levels.tuner.every == 5
