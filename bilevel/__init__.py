"""Bilevel autoresearch as an instrument: loops that search, and loops that change how they search.

Mechanisms import from the modules beside this one (`bilevel.mechanism`, `view`, `trace`, `space`);
each package below says what lives in it and exports its public names.
"""

from pathlib import Path

__path__ = [*__path__, str(Path(__file__).parent / "commands")]  # for `-m bilevel.replay` alone
