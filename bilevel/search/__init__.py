"""Searches: built from settings, executed, continued, and executed again from their journals."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
