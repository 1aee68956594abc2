"""The files that a phase left in the session's artifacts folder."""

import hashlib
import mimetypes
import os
from pathlib import Path
from typing import TypeAlias

from windlass.errors import AuthorError
from windlass.records import SavedFile

# Each is a row in the store; a phase that makes more should pack them.
FILES_MAX = 10_000
# (size, time of change, inode) by name.
Seen: TypeAlias = dict[str, tuple[int, int, int]]


class Artifacts:
    """What is in the folder, and what a phase added to it.

    Files are told apart by size, time and inode. Symbolic links are left alone: what they point to was
    not made here.

    Args:
        folder: the session's artifacts folder; made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._seen: Seen = {}
        self._seen = self._look()

    def mark(self) -> None:
        """Take what is there now for known: what comes after belongs to the phase that begins."""
        self._seen = self._look()

    def collect(self) -> list[SavedFile]:
        """Files made or changed since the last look, by name; they are taken note of.

        Raises:
            AuthorError: too many.
        """
        now = self._look()
        names = sorted(name for name, facts in now.items() if self._seen.get(name) != facts)
        if len(names) > FILES_MAX:
            raise AuthorError(f"the phase left {len(names)} files in artifacts; the most is {FILES_MAX}")
        found = [self._describe(name) for name in names]
        self._seen = now
        return found

    def discard(self) -> None:
        """Remove what was added since the last look. What was overwritten stays as it is now."""
        for name in self._look().keys() - self._seen.keys():
            (self.folder / name).unlink(missing_ok=True)

    def _look(self) -> Seen:
        found: Seen = {}
        folders = [""]
        while folders:
            at = folders.pop()
            with os.scandir(self.folder / at) as entries:
                for entry in entries:
                    name = f"{at}/{entry.name}" if at else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(name)
                    elif entry.is_file(follow_symlinks=False):
                        facts = entry.stat(follow_symlinks=False)
                        found[name] = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
        return found

    def _describe(self, name: str) -> SavedFile:
        path = self.folder / name
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return SavedFile(name=name, path=str(path), bytes=path.stat().st_size, sha256=digest, media_type=kind)
