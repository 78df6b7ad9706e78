"""Behind the wall every curated mechanism does what it does without one."""

import importlib
import inspect
import pkgutil

import pytest

from bilevel.mechanism import Mechanism
from bilevel.mechanisms import shared
from bilevel.sandbox.confined_mechanism import confine
from bilevel.sandbox.worker_handle import Limits
from tests.mechanisms.support import kinds, search

# a text that a model writes is whole; what these share with each other is put before it
SHARED = """
import importlib.abc, importlib.util, sys

class Shared(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path, target=None):
        if name in TEXTS:
            return importlib.util.spec_from_loader(name, self, is_package=not TEXTS[name])
    def get_source(self, name):
        return TEXTS[name]
    def is_package(self, name):
        return not TEXTS[name]

sys.meta_path.append(Shared())
"""
PACKAGES = ("bilevel.mechanisms", "bilevel.mechanisms.shared")
MODULES = [f"{shared.__name__}.{m.name}" for m in pkgutil.iter_modules(shared.__path__)]
KINDS = [kind for kind in kinds() if kind.id != "reflection"]  # it has a prompt in a file


def text(kind: type[Mechanism]) -> str:
    texts = dict.fromkeys(PACKAGES, "") | {
        name: inspect.getsource(importlib.import_module(name)) for name in MODULES
    }
    return f"TEXTS = {texts!r}\n{SHARED}\n{inspect.getsource(inspect.getmodule(kind))}"  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_curated_mechanism_does_the_same_behind_the_wall(
    layer: str, kind: type[Mechanism]
) -> None:
    open_air = search(kind(), trials=12)
    with confine(text(kind), limits=Limits(layer, call_s=20)) as confined:
        walled = search(confined, trials=12)
        assert not confined.kills
    assert [trial.proposal for trial in walled.trace] == [t.proposal for t in open_air.trace]
