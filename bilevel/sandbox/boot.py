"""A worker's first code: takes the platform's words, compiled, from its first frame, then serves.

Its text is given to `python -c`, so that no file of the project has to be readable inside.
"""

import base64
import importlib.abc
import importlib.util
import json
import marshal
import os
import sys
import zlib
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType


class Sent(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Modules whose code came with the first frame."""

    def __init__(self, words: dict[str, str]) -> None:
        self._words = words

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._words:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=self.is_package(name))

    def is_package(self, fullname: str) -> bool:
        return any(name.startswith(f"{fullname}.") for name in self._words)

    def get_source(self, fullname: str) -> None:
        return None

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = marshal.loads(zlib.decompress(base64.b64decode(self._words[fullname])))
        return code


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
    sys.path += first["libraries"]
    sys.meta_path.insert(0, Sent(first["modules"]))
    importlib.import_module(first["start"]).serve(**first["arguments"])


if __name__ == "__main__":
    main()
