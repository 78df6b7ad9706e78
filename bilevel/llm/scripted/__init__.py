"""A seeded stand-in for a language model, to run and test the platform without a key.

It speaks the OpenAI protocol, in this process or over loopback HTTP, reads the same prompts as
any model, and says nothing about how well a real one would search.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
