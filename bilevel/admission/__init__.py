"""Admission: the gates that a mechanism's source, written by a person or a model, has to pass."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
