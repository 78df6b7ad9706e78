"""How a configuration becomes loops."""

from typing import Any

import pytest

from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.journal import Journal
from bilevel.loop.loop import Loop
from bilevel.sandbox.failures import SandboxUnavailable
from bilevel.search import build as search
from bilevel.tasks.surrogate import Surrogate
from bilevel.view import nobody


def loops(arm: str, journal: Journal) -> list[Loop]:
    settings: dict[str, Any] = composed(CONF, [f"arm={arm}", "task=trap"])
    return search.levels(settings, Surrogate("trap"), journal=journal, asker=nobody, observers=())


@pytest.mark.parametrize("arm", ["bilevel", "level2", "sham", "as_published"])
def test_without_a_sandbox_a_search_that_writes_mechanisms_is_refused_at_once(
    arm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those too that attach something else: what was written has to pass the gates."""

    def nowhere(layer: str) -> str:
        raise SandboxUnavailable(f"no {layer}")

    monkeypatch.setattr(search, "chosen", nowhere)
    with pytest.raises(SandboxUnavailable, match="no confined"):
        loops(arm, Journal(None))
    assert [loop.level for loop in loops("level1_5", Journal(None))] == [1, 1.5]
    replayed = Journal(None)
    replayed.sealed = True  # its verdicts are in the journal
    assert loops(arm, replayed)[-1].level == 2
