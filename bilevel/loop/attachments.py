"""The mechanisms attached to a loop: since when, until when, and on or off by a coin."""

from collections.abc import Callable, Collection

from bilevel.mechanism import HOOKS, Mechanism

Coin = Callable[[int], bool]  # whether a mechanism acts in the round that decides this trial


class Attachments:
    """The attached mechanisms. Those named in `left_out` are never attached, so that a search can
    run without them, otherwise the same."""

    def __init__(self, left_out: Collection[str] = ()) -> None:
        self._left_out = frozenset(left_out)
        self._attached: list[Mechanism] = []
        self._known: dict[str, Mechanism] = {}
        self._since: dict[str, int] = {}
        self._until: dict[str, int] = {}
        self._hooks: dict[str, tuple[str, ...]] = {}
        self._coins: dict[str, Coin] = {}
        self._off: set[str] = set()

    @property
    def attached(self) -> tuple[Mechanism, ...]:
        return tuple(self._attached)

    @property
    def known(self) -> tuple[Mechanism, ...]:
        """Every mechanism that was ever attached, in order."""
        return tuple(self._known.values())

    def since(self, name: str) -> int:
        """Returns the first trial for which it was attached."""
        return self._since[name]

    def until(self, name: str) -> int | None:
        """Returns the first trial for which it was no longer attached; None while it is."""
        return self._until.get(name)

    def attach(self, mechanism: Mechanism, trial: int, coin: Coin | None = None) -> None:
        """Attaches a mechanism from this trial on, for every round or those that the coin picks.
        Raises ValueError for a name that is taken, and for a mechanism that overrides no hook."""
        name = mechanism.name
        if not name or name in self._known:
            taken = ", ".join(self._known) or "none"
            raise ValueError(f"a mechanism needs a name not in: {taken}; got {name!r}")
        hooks = tuple(hook for hook in HOOKS if overrides(mechanism, hook))
        if not hooks:
            raise ValueError(
                f"mechanism {name} would never be called: its class overrides none of the hooks "
                f"{', '.join(HOOKS)}"
            )
        if name in self._left_out:
            return
        self._attached.append(mechanism)
        self._known[name] = mechanism
        self._since[name] = trial
        self._hooks[name] = hooks
        if coin is not None:
            self._coins[name] = coin

    def detach(self, name: str, trial: int) -> None:
        """Detaches a mechanism from this trial on and closes it; its record stays."""
        for mechanism in self._attached:
            if mechanism.name == name:
                mechanism.close()
                self._until[name] = trial
        self._attached = [mechanism for mechanism in self._attached if mechanism.name != name]
        self.keep(name)

    def keep(self, name: str) -> None:
        """Ends the coin for a mechanism: from now on it acts in every round."""
        self._coins.pop(name, None)
        self._off.discard(name)

    def toss(self, trial: int) -> dict[str, bool]:
        """Tosses the coins for a round; returns name -> whether it is on."""
        tossed = {name: coin(trial) for name, coin in self._coins.items()}
        self._off = {name for name, on in tossed.items() if not on}
        return tossed

    def acting(self, hook: str) -> list[Mechanism]:
        """Returns the mechanisms to call at this hook: those that overrode it when they were
        attached and are on; `observe` is called on those that are off too."""
        return [
            mechanism
            for mechanism in self._attached
            if hook in self._hooks[mechanism.name]
            and (hook == "observe" or mechanism.name not in self._off)
        ]


def overrides(mechanism: Mechanism, hook: str) -> bool:
    """Returns whether the mechanism's class overrides this hook; an attribute of an instance does
    not."""
    return getattr(type(mechanism), hook) is not getattr(Mechanism, hook)
