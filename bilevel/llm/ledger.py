"""What the language model was asked, what it cost, and the caps that end a search cleanly."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bilevel.errors import BudgetExhausted, ConfigError

Message = Mapping[str, str]


@dataclass(frozen=True)
class Caps:
    """Hard limits for one search; None means no limit."""

    max_calls: int | None = None
    max_total_tokens: int | None = None
    max_usd: float | None = None

    def check(self) -> None:
        """Raises ConfigError for a cap that is not a positive number."""
        for name, value in vars(self).items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and value > 0):
                raise ConfigError(f"llm.{name}={value!r}: expected a positive number or null")


@dataclass(frozen=True)
class Call:
    """One reply of the model; a repair round is a call of its own.

    `estimated` marks token counts that the server did not report, `replayed` an answer from the
    journal; `problem` tells why the reply could not be used.
    """

    key: str
    level: float
    trial: int
    purpose: str
    messages: tuple[Message, ...]
    text: str
    prompt_tokens: int
    completion_tokens: int
    estimated: bool = False
    seconds: float = 0.0
    attempts: int = 1
    usd: float = 0.0
    replayed: bool = False
    problem: str = ""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class _Totals:
    """Sums over calls; replayed ones count too, so that a resumed search ends the same."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    unusable: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def plus(self, call: Call) -> "_Totals":
        return _Totals(
            self.calls + 1,
            self.prompt_tokens + call.prompt_tokens,
            self.completion_tokens + call.completion_tokens,
            self.usd + call.usd,
            self.seconds + call.seconds,
            self.unusable + bool(call.problem),
        )


@dataclass
class CallLedger:
    """The calls of one search in order, checked against its caps."""

    caps: Caps = field(default_factory=Caps)
    _calls: list[Call] = field(default_factory=list)
    _total: _Totals = field(default_factory=_Totals)

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(self._calls)

    @property
    def total(self) -> _Totals:
        return self._total

    def __len__(self) -> int:
        return len(self._calls)

    def since(self, count: int) -> tuple[Call, ...]:
        """Return the calls after the first `count`."""
        return tuple(self._calls[count:])

    def totals(self) -> dict[tuple[float, str], _Totals]:
        """Return sums by (level, purpose); the suffix of a repeated purpose ('propose/1') is
        left out."""
        grouped: dict[tuple[float, str], _Totals] = {}
        for call in self._calls:
            name = call.purpose.rsplit("/", 1)
            purpose = name[0] if name[-1].isdigit() else call.purpose
            group = (call.level, purpose)
            grouped[group] = grouped.get(group, _Totals()).plus(call)
        return grouped

    def add(self, call: Call) -> None:
        self._calls.append(call)
        self._total = self._total.plus(call)

    def admit(self) -> None:
        """Checks the caps before a call. Raises BudgetExhausted when one is reached."""
        spent = {
            "max_calls": (self._total.calls, self.caps.max_calls, "calls"),
            "max_total_tokens": (self._total.tokens, self.caps.max_total_tokens, "tokens"),
            "max_usd": (round(self._total.usd, 4), self.caps.max_usd, "US dollars"),
        }
        for name, (used, cap, unit) in spent.items():
            if cap is not None and used >= cap:
                raise BudgetExhausted(
                    f"the language model budget is spent: {used} of {cap} {unit}; "
                    f"everything measured is kept; raise llm.{name} to go on"
                )
