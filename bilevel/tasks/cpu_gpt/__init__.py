"""A GPT small enough to train on one CPU thread, as a script whose constants are searched."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
