"""Processes that evaluations run in: bounded in time, gone with their parent, without secrets."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
