from . import llm as llm
from .best_of import BestOf as BestOf
from .llm import LLMProposer as LLMProposer
