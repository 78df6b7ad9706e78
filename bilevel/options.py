"""The `key=value` arguments of the commands beside the main one."""

from collections.abc import Collection, Sequence

from bilevel.errors import BadInput


def options(
    arguments: Sequence[str], keys: Collection[str], required: Collection[str], usage: str
) -> dict[str, str]:
    """The arguments as key -> value. Raises BadInput for anything that is not an option."""
    given: dict[str, str] = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if key not in keys or not sign or not value:
            raise BadInput(
                f"{argument!r} is not an option; valid: {', '.join(keys)}; usage: {usage}"
            )
        given[key] = value
    for key in required:
        if key not in given:
            raise BadInput(f"{key}=... is missing; usage: {usage}")
    return given


def split(arguments: Sequence[str], own: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The options of a command, and what is left for Hydra: overrides of settings."""
    pairs = [(a, *a.partition("=")) for a in arguments]
    options = {key: value for _, key, _, value in pairs if key in own}
    return options, [argument for argument, key, _, _ in pairs if key not in own]
