"""The first code of a confined run: takes the modules that it may use from its first frame.

Its text is given to `python -c`, so that no file of the project has to be readable inside.
"""

import importlib.abc
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType


class Sent(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Modules whose text came with the first frame."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._texts:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=self.is_package(name))

    def is_package(self, fullname: str) -> bool:
        return any(name.startswith(f"{fullname}.") for name in self._texts)

    def get_source(self, fullname: str) -> str:
        return self._texts[fullname]

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._texts[fullname], f"<{fullname}>", "exec", dont_inherit=True)


def take(size: int) -> bytes:
    taken = b""
    while len(taken) < size:
        chunk = os.read(0, size - len(taken))
        if not chunk:
            os._exit(0)
        taken += chunk
    return taken


def main() -> None:
    first = json.loads(take(int.from_bytes(take(4), "big")))
    tempfile.tempdir = "/"  # torch asks for a place to write when it starts; there is none
    sys.path += first["libraries"]
    sys.meta_path.insert(0, Sent(first["modules"]))
    importlib.import_module(first["start"]).serve()


if __name__ == "__main__":
    main()
