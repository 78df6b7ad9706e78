"""The levels above: a stretch of a loop as a task, and who changes how that loop searches."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
