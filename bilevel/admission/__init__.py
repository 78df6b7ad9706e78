"""The gates through which a mechanism that somebody, or a model, has written enters a search."""

from bilevel.admission.gates import GATES, admit
from bilevel.admission.verdict import Admission, Verdict

__all__ = ["GATES", "Admission", "Verdict", "admit"]
