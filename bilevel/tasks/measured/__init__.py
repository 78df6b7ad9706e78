"""What trainings of a task gave: how configurations are chosen to be measured, and the records."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
