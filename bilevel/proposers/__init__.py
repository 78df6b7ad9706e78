"""Proposers of level 1: a language model, alone or choosing among its own proposals."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
