"""The gates through which a mechanism that somebody, or a model, has written enters a search."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
