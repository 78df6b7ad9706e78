"""The sequence of gates: a mechanism passes one after the other, until the first that refuses."""

import contextlib
from collections.abc import Collection

from bilevel.admission.contract import contract
from bilevel.admission.fitted import Fitted
from bilevel.admission.hook_errors import unmade
from bilevel.admission.lint import Declared, linted
from bilevel.admission.reading import parsed
from bilevel.admission.refusal import Refused, quoted
from bilevel.admission.rehearsal import rehearsed
from bilevel.admission.situations import situations
from bilevel.admission.twins import Twins
from bilevel.errors import ConfigError
from bilevel.invention import Admission, GateVerdict
from bilevel.mechanism import HOOKS
from bilevel.sandbox.confined_mechanism import ConfinedMechanism, confine
from bilevel.sandbox.failures import SandboxError, SandboxUnavailable, WorkerDied
from bilevel.sandbox.worker_handle import Limits, Surroundings
from bilevel.view import View

_MAX_REASON = 3_000  # characters; exceptions may say anything
GATES = ("parse", "lint", "import", "contract", "dry run")
_HARMLESS = "from bilevel.mechanism import Mechanism\nclass M(Mechanism): name = 'm'\n"


def admit(source: str, view: View, limits: Limits, taken: Collection[str] = ()) -> Admission:
    """Runs the gates; returns whether the mechanism may be attached to the loop that `view` shows,
    with the finding of each gate.

    `taken` are the names of mechanisms that exist already. No model is asked: `view.ask` is
    answered by a double (see `bilevel.admission.asking`). Randomness is keyed by the view, and
    findings are worded by what two workers agree on, so that the same source and view get the same
    verdict. Raises SandboxUnavailable where nothing can confine the source, and SandboxError where
    not even a harmless one can be started.
    """
    passed: list[GateVerdict] = []
    declared = Declared("", "", (), "")

    def through(reason: str) -> None:
        passed.append(GateVerdict(GATES[len(passed)], True, reason))

    with contextlib.ExitStack() as workers:

        def imported(surroundings: Surroundings) -> ConfinedMechanism:
            return workers.enter_context(_imported(source, declared, limits, surroundings))

        try:
            tree = parsed(source)
            through(f"{len(source.splitlines())} lines, {len(source)} characters")
            declared = linted(tree, taken)
            through(
                f"{declared.kind}: name {declared.name}, carrier {declared.carrier}, "
                f"hooks {', '.join(declared.hooks)}"
            )
            twins = Twins(source, imported)
            through(f"made in the sandbox ({limits.layer})")
            task = Fitted.of(view)
            through(contract(source, twins, situations(view, task)))
            through(rehearsed(source, twins, view, task))
        except Refused as refusal:
            reason = quoted(str(refusal), _MAX_REASON)
            passed.append(GateVerdict(GATES[len(passed)], False, reason))
    return Admission(
        passed[-1].passed, tuple(passed), declared.name, declared.carrier, declared.hooks
    )


def _imported(
    source: str, declared: Declared, limits: Limits, surroundings: Surroundings
) -> ConfinedMechanism:
    """Imports the source in a worker. Raises Refused, and SandboxError where the machine is to
    blame."""
    try:
        made = confine(source, limits=limits, surroundings=surroundings)
    except SandboxUnavailable:
        raise
    except (SandboxError, ConfigError) as error:
        if isinstance(error, WorkerDied):
            confine(_HARMLESS, limits=limits).close()
        raise unmade(error, source) from None
    hooks = tuple(hook for hook in HOOKS if hook in vars(type(made)))
    found = (made.name, made.carrier, hooks)
    if found != (declared.name, declared.carrier, declared.hooks):
        made.close()
        expected = (declared.name, declared.carrier, declared.hooks)
        raise Refused(
            f"the text declares name, carrier and hooks {expected}, but what it made has {found}; "
            "write them in the class body and leave them alone"
        )
    return made
