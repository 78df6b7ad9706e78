from . import design as design
from . import records as records
