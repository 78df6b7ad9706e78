from . import activations as activations
from . import convergence as convergence
from . import deltas as deltas
from . import gains as gains
from . import measures as measures
from .drawing import Figure as Figure
from .drawing import draw as draw
