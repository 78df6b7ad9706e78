"""The figures of a report, each as a PNG for a light page and one for a dark page."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
