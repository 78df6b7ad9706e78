"""Files that a script needs in its folder: small ones copied for every trial, data linked."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from bilevel.errors import ConfigError, TaskError
from bilevel.tasks.fingerprint import digest, fingerprints


class CompanionFiles:
    """The files beside a script: `files` are globs and `links` names, relative to the script's
    folder."""

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
        """Whether there are no such files."""
        return not (self._files or self._links)

    def found(self) -> list[Path]:
        """Return the files to copy, as relative paths. Raises TaskError for a missing one."""
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
        return sorted(found - {Path(self._script)})

    def furnish(self, folder: Path) -> None:
        """Copies and links everything into a trial's folder."""
        for path in self.found():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._folder / path, folder / path)
        for link in self._links:
            (folder / link).parent.mkdir(parents=True, exist_ok=True)
            (folder / link).symlink_to((self._folder / link).resolve())

    def digests(self, folder: Path | None = None) -> dict[str, str]:
        """Return each file's digest by name, or each copy's in a trial's folder."""
        place = folder or self._folder
        return {str(path): digest((place / path).read_bytes()) for path in self.found()}

    def linked(self) -> dict[str, str]:
        """Return fingerprints of the linked data, by name. Raises TaskError where it cannot be
        read."""
        found: dict[str, str] = {}
        for link in self._links:
            try:
                found |= fingerprints(self._folder / link, link)
            except OSError as error:
                raise TaskError(f"task.links: {link!r} cannot be read: {error}") from error
        return found

    def texts(self) -> list[str]:
        """Return the sources of the files that are Python."""
        paths = [self._folder / path for path in self.found() if path.suffix == ".py"]
        return [path.read_text(errors="replace") for path in paths]
