from .discoverer import Discoverer as Discoverer
from .paired import Paired as Paired
from .suite import Suite as Suite
