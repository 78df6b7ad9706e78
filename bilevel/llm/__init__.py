"""One conversation with a language model a search: over any OpenAI-compatible server."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
