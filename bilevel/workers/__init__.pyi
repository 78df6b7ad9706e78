from .executor import Executor as Executor
from .executor import Local as Local
from .executor import Serial as Serial
from .ray_executor import Ray as Ray
