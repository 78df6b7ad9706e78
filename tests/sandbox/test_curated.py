"""Behind the wall every curated mechanism does what it does without one."""

from importlib import resources
from pathlib import Path

import pytest

import mechanisms
import mechanisms.shared
from bilevel.confined import confine
from bilevel.mechanism import Mechanism
from bilevel.sandbox.hosted import Limits
from tests.mechanisms.support import classes, search

# a text that a model writes is whole; these share modules, which are put before it
SHARED = """
import importlib.abc, importlib.util, sys

class Shared(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path, target=None):
        if name in TEXTS:
            return importlib.util.spec_from_loader(name, self, is_package="." not in name[11:])
    def get_source(self, name):
        return TEXTS[name]

sys.meta_path.append(Shared())
"""
