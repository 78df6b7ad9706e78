"""What can be searched: a task evaluates a configuration and keeps or takes back a change."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
