from . import aocc as aocc
from .optimiser import Optimiser as Optimiser
from .problem import SuiteProblem as SuiteProblem
