"""Names as MLflow takes them: what a user, a script or a model called a thing may be anything.

One name that MLflow refuses would cost a search all that is tracked of it. Whatever becomes the
name of a metric, a parameter or a file passes through here, and comes out as it was unless it is
refused; what it was called is then kept in a tag of the run.
"""

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable

LONGEST = 250  # characters of a metric's or a parameter's name
_LONGEST_FILE = 120  # of a file's: a name has 255 bytes, and a letter up to four
_LONGEST_SUFFIX = 10
TAG = "names"  # of a run: JSON, name in MLflow -> what it was called
_TAG_CHARS = 5000
_REFUSED = re.compile(r"[^/\w.\- :]")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def key(name: str) -> str:
    """Return the name if MLflow accepts it, else the nearest accepted one, with a digest so that
    different names stay different."""
    plain = _REFUSED.sub("_", name)
    if posixpath.normpath(plain) != plain or plain.startswith(("/", "..")) or plain == ".":
        plain = plain.replace("/", "_").lstrip(".")
    if plain == name and 0 < len(name) <= LONGEST:
        return name
    return _marked(plain, name, LONGEST)


def renamed(names: Iterable[str]) -> dict[str, str]:
    """Return the tag that maps names in MLflow to the original ones (JSON), or nothing: if none
    differs, or if the tag would be too long (a trial's own file has the names too)."""
    told = json.dumps({key(name): name for name in names if key(name) != name})
    return {} if told == "{}" or len(told) > _TAG_CHARS else {TAG: told}


def file_name(name: str) -> str:
    """Return a safe file name for a name; one that is too long is cut and gets a digest."""
    safe = _UNSAFE.sub("_", name).strip("._") or "text"
    if len(safe) <= _LONGEST_FILE:
        return safe
    stem, suffix = posixpath.splitext(safe)
    if len(suffix) > _LONGEST_SUFFIX:
        stem, suffix = safe, ""
    return _marked(stem, name, _LONGEST_FILE - len(suffix)) + suffix


def _marked(plain: str, name: str, longest: int) -> str:
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain[: max(1, longest - 9)]}-{mark}"
