from . import context as context
from . import inventor as inventor
from . import segment as segment
from . import writing as writing
from .attaching import Attaching as Attaching
from .inventor import Inventor as Inventor
from .segment import Segment as Segment
from .tuner import LLMTuner as LLMTuner
