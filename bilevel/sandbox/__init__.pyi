from .confined_mechanism import ConfinedMechanism as ConfinedMechanism
from .confined_mechanism import confine as confine
from .failures import SandboxError as SandboxError
from .trusted_mechanism import load as load
from .worker_handle import Limits as Limits
