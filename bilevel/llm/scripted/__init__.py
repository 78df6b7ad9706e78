"""A seeded stand-in for a language model, to run and test the platform without a key.

It speaks the OpenAI protocol, in this process or over loopback HTTP, reads the same prompts as
any model, and says nothing about how well a real one would search.
"""

from bilevel.llm.scripted.app import respond, scripted_client, scripted_digest

__all__ = ["respond", "scripted_client", "scripted_digest"]
