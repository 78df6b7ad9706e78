"""A family of landscapes that a number names: tasks for training a search and for judging it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
