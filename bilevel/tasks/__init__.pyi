from .autoresearch import Autoresearch as Autoresearch
from .base import Task as Task
from .command import CommandTask as CommandTask
from .cpu_gpt.task import CpuGpt as CpuGpt
from .cpu_gpt_code.task import CpuGptCode as CpuGptCode
from .script import ScriptTask as ScriptTask
from .surrogate import Surrogate as Surrogate
