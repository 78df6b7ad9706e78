from . import segment as segment
from .attaching import Attaching as Attaching
from .inventor import Inventor as Inventor
from .segment import Segment as Segment
from .tuner import LLMTuner as LLMTuner
