"""What so many seeds can say: intervals, tests, and the power of both."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
