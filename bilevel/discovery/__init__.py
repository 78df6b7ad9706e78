"""Discovery: mechanisms are what is searched, and a suite of tasks is what judges them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
