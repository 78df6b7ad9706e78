"""What can be typed after `python -m bilevel`: one module a command, whose `main` gets the rest."""

import pkgutil

COMMANDS = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))
