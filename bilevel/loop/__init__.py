"""The one loop of every level: ask, review, evaluate, accept, tell."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
