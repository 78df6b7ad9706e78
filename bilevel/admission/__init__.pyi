from . import fitted as fitted
from . import hook_errors as hook_errors
from . import lint as lint
from . import names as names
from . import shipped as shipped
from .gates import GATES as GATES
from .gates import admit as admit
