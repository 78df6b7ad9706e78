"""One search, from its settings to what it leaves behind, and again from its journal."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
