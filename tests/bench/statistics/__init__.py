"""Whether the report's statistics hold what they promise, by simulation; prints markdown.

`python -m tests.bench statistics` takes a few minutes. Every table is drawn from a fixed seed.
"""

from collections.abc import Iterator

from tests.bench.statistics import coverage, errors, planning


def markdown() -> Iterator[str]:
    """Line by line, as they are known."""
    for part in (coverage, errors, planning):
        yield from part.markdown()
