"""Where names are found: the cascade's folder first, then the folders that are searched."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

# As large as a cascade may be: a prompt or a script is text that people wrote.
TEXT_BYTES_MAX = 4 * 1024 * 1024
# Files whose cascade_id is read when no file is called like a cascade that is asked for.
_SCAN_FILES_MAX = 500
# `cascade_id` stands near the top of every cascade.
_SCAN_BYTES = 8192

# The folder of a bundle that holds what was found in a searched folder; it is searched by itself.
FOUND = "_found"
CASCADE_SUFFIXES = (".yaml", ".yml", ".json")


class Finder:
    """Finds the files that one cascade names, and remembers them.

    Args:
        folder: the cascade's folder; None where a text came without a file.
        search: folders that come after it.
        within: where given, no file outside of this folder (or of `search`) is touched.
    """

    def __init__(self, folder: Path | None, search: Sequence[Path], *, within: Path | None = None) -> None:
        self.folder = folder
        self.search = tuple(search)
        self.named: dict[str, Path] = {}
        self._base_of: dict[Path, Path] = {}
        self._within = within

    def text_at(self, name: str) -> str:
        """The text of the file that `@name` means; the file is remembered as named.

        Raises:
            ValueError: it does not exist, lies outside, is too large or is not text.
        """
        path = self.find(name)
        if path is None:
            raise ValueError(self.missing(name))
        try:
            if path.stat().st_size > TEXT_BYTES_MAX:
                raise ValueError(f"the file '{name}' is larger than {TEXT_BYTES_MAX // 1024**2} MiB")
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"the file '{name}' is not UTF-8 text") from None
        except OSError as error:
            raise ValueError(f"the file '{name}' can't be read: {error.strerror}") from None
        self.remember(path)
        return text.removeprefix("\ufeff")

    def find(self, name: str) -> Path | None:
        """The absolute path of an existing file called `name`, or None."""
        return self.find_first([name])

    def find_first(self, names: Sequence[str]) -> Path | None:
        """The first of several names that is a file, folder by folder."""
        for base in self._bases():
            for name in names:
                if not name or "\0" in name or os.path.isabs(name):
                    continue
                path = Path(os.path.normpath(base / name))
                if _is_file(path) and self._is_allowed(path, base):
                    self._base_of.setdefault(path, base)
                    return path
        return None

    def find_cascade(self, ref: str) -> Path | None:
        """The file of the cascade called `ref`: a path, a file name without suffix, or a cascade_id."""
        if not ref or "\0" in ref:
            return None
        if ref.endswith(CASCADE_SUFFIXES):
            return self.find(ref)
        found = self.find_first([ref + suffix for suffix in CASCADE_SUFFIXES])
        return found or self._scan(ref)

    def cascade_names(self) -> list[str]:
        """Cascades' files in the folders, for a suggestion."""
        return [path.stem for _, path in self._candidates()]

    def remember(self, path: Path) -> None:
        """Notes a file that was found as belonging to the cascade."""
        base = self._base_of[path]
        place = os.path.relpath(path, base)
        self.named[place if base == self.folder else os.path.join(FOUND, place)] = path

    def missing(self, name: str) -> str:
        """Why `name` was not found, in words."""
        if os.path.isabs(name):
            return f"the file '{name}' must be given relative to the cascade's folder"
        if self.folder is None and not self.search:
            return f"the file '{name}' can't be found: this cascade was given as a text, without a folder"
        return f"there is no file '{name}' (looked in {', '.join(str(base) for base in self._bases())})"

    def _bases(self) -> list[Path]:
        return ([self.folder] if self.folder is not None else []) + list(self.search)

    def _is_allowed(self, path: Path, base: Path) -> bool:
        """May this file be touched? A searched folder is never left, the cascade's own only `within`."""
        if base != self.folder:
            return path.is_relative_to(base)
        return self._within is None or path.resolve().is_relative_to(self._within.resolve())

    def _scan(self, cascade_id: str) -> Path | None:
        """The file whose `cascade_id` is the one that is asked for."""
        pattern = re.compile(
            rf"""^[ \t{{,]*["']?cascade_id["']?\s*:\s*["']?{re.escape(cascade_id)}["']?\s*(?:[,#}}].*)?$""",
            re.MULTILINE,
        )
        for base, path in self._candidates():
            try:
                with path.open("rb") as file:
                    head = file.read(_SCAN_BYTES).decode("utf-8", "replace")
            except OSError:
                continue
            if pattern.search(head):
                self._base_of.setdefault(path, base)
                return path
        return None

    def _candidates(self) -> Iterator[tuple[Path, Path]]:
        count = 0
        for base in self._bases():
            try:
                entries = sorted(base.iterdir())
            except OSError:
                continue
            for path in entries:
                if path.suffix in CASCADE_SUFFIXES and _is_file(path):
                    count += 1
                    if count > _SCAN_FILES_MAX:
                        return
                    yield base, path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False  # a name that is too long, or a folder that may not be entered
