"""The commands of `python -m bilevel`: one module each, whose `main` gets the further arguments."""

import pkgutil

COMMANDS = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))
