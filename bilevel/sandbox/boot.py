"""A worker's first code: takes the platform's words, compiled, from its first frame, then serves.

Its text is given to `python -c`, so that no file of the project has to be readable inside.
"""

import importlib
import json
import marshal
import os
import sys
import zlib
from binascii import a2b_base64
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Sent:
    """An importer of the modules whose code came with the first frame. It does not subclass
    `importlib.abc`, whose import would take a tenth of a worker's start."""

    def __init__(self, words: dict[str, str]) -> None:
        self._words = words

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._words:
            return None
        package = any(other.startswith(f"{name}.") for other in self._words)
        return ModuleSpec(name, self, is_package=package)  # type: ignore[arg-type]  # has all of it

    def create_module(self, spec: ModuleSpec) -> None:
        """Return None: the module is created as usual."""

    def exec_module(self, module: ModuleType) -> None:
        code = self._words[module.__name__]
        exec(marshal.loads(zlib.decompress(a2b_base64(code))), vars(module))

    def get_source(self, fullname: str) -> None:
        """Return None: no source is available in the worker."""


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
    sys.meta_path.insert(0, _Sent(first["modules"]))
    importlib.import_module(first["start"]).serve(**first["arguments"])


if __name__ == "__main__":
    main()
