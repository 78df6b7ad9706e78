"""The gates through which a mechanism that somebody, or a model, has written enters a search."""

from bilevel.admission.gates import GATES, admit

__all__ = ["GATES", "admit"]
