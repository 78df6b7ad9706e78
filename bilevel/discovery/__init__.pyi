from . import cells as cells
from . import contestant as contestant
from . import measuring as measuring
from . import members as members
from . import transfer as transfer
from .discoverer import Discoverer as Discoverer
from .paired import Paired as Paired
from .suite import Suite as Suite
