"""Token counts for servers that do not report them: an estimate, and marked as one."""

from collections.abc import Iterable, Mapping

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4


def text_tokens(text: str) -> int:
    """Return about how many tokens a byte-pair tokenizer makes of English and code."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def message_tokens(messages: Iterable[Mapping[str, str]]) -> int:
    return sum(_TOKENS_PER_MESSAGE + text_tokens(m.get("content", "")) for m in messages)
