"""A mechanism from a file that somebody names: one class in one file, like those in mechanisms/."""

import hashlib
import importlib.util
import inspect
import sys
from pathlib import Path

from bilevel.errors import BadInput
from bilevel.mechanism import Mechanism


def source_digest(file: Path) -> str:
    """Raises BadInput where there is no such file."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise BadInput(f"with={file}: {error.strerror}; give a Python file") from None


def load(file: str, digest: str) -> Mechanism:
    """The one Mechanism class that the file defines, made without arguments.

    It runs in this process and is trusted like any other code. Raises BadInput.
    """
    path = Path(file)
    if source_digest(path) != digest:
        raise BadInput(f"{file} changed since this search was begun; fresh=true starts over")
    spec = importlib.util.spec_from_file_location(f"bilevel_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{file} is not a Python file (*.py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its source is looked up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # somebody's file may fail in any way
        raise BadInput(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    classes = [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Mechanism) and kind.__module__ == spec.name
    ]
    if len(classes) != 1:
        named = ", ".join(kind.__name__ for kind in classes) or "none"
        raise BadInput(f"{file} defines {named}; expected exactly one subclass of Mechanism")
    try:
        return classes[0]()
    except TypeError as error:
        raise BadInput(f"{classes[0].__name__} of {file}: {error}; give defaults") from None
