from .build import Summary as Summary
from .build import levels as levels
from .execution import Execution as Execution
from .from_journal import exactly as exactly
from .from_journal import rebuilt as rebuilt
from .run import search as search
