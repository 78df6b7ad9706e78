"""The levels above 1: a segment of a loop as a task, and the proposers that change how it
searches."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
