"""What a script needs beside it: small files that every trial gets a copy of, data that it links
to."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from bilevel.errors import ConfigError, TaskError
from bilevel.workers.job import LOG


class Beside:
    """`files` are globs and `links` names, both relative to the folder of the script."""

    def __init__(
        self, folder: Path, script: str, files: Sequence[str], links: Sequence[str]
    ) -> None:
        self._folder = folder
        self._script = script
        self._files = list(files)
        self._links = list(links)
        for name in [*files, *links]:
            if Path(name).is_absolute() or ".." in Path(name).parts or not Path(name).parts:
                raise ConfigError(
                    f"{name!r} does not lie beside {script}; task.files and task.links name what "
                    f"is in {folder}"
                )

    @property
    def empty(self) -> bool:
        """Whether nothing has to be there."""
        return not (self._files or self._links)

    def found(self) -> list[Path]:
        """The files to copy, relative. Raises TaskError for what is not there."""
        found: set[Path] = set()
        for pattern in self._files:
            matching = {
                p.relative_to(self._folder) for p in self._folder.glob(pattern) if p.is_file()
            }
            if not matching:
                raise TaskError(
                    f"task.files: {pattern!r} matches no file in {self._folder}; a folder with all "
                    "that is in it is written 'folder/**/*', data is better linked by task.links"
                )
            found |= matching
        for link in self._links:
            if not (self._folder / link).exists():
                raise TaskError(f"task.links: there is no {link!r} in {self._folder}")
            inside = [str(path) for path in found if Path(link) in [path, *path.parents]]
            if inside:
                raise TaskError(f"task.files would copy {inside[0]!r} into the linked {link!r}")
        if Path(LOG) in found or LOG in self._links:
            raise TaskError(f"{LOG} is where a trial's output goes; give the file another name")
        return sorted(found - {Path(self._script)})

    def furnish(self, folder: Path) -> None:
        """Copies and links everything into a trial's folder."""
        for path in self.found():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._folder / path, folder / path)
        for link in self._links:
            (folder / link).parent.mkdir(parents=True, exist_ok=True)
            (folder / link).symlink_to((self._folder / link).resolve())

    def digests(self) -> dict[str, str]:
        """sha256 of each file, by name."""
        return {
            str(path): hashlib.sha256((self._folder / path).read_bytes()).hexdigest()
            for path in self.found()
        }
