"""The bridges to IOH-BLADE: our suite as its problem, and our searches as its optimisers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
