"""From what somebody typed to a cascade's file."""

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import windlass
from windlass.errors import NotFound

_SUFFIXES = (".yaml", ".yml", ".json")
# A file's cascade_id, in YAML or JSON, without loading the file.
_ID = re.compile(r"""^[\s{,]*["']?cascade_id["']?\s*:\s*["']?([\w.-]+)""", re.MULTILINE)
# Where an id stands in a file: near the top, below the comment that explains the cascade.
_HEAD_CHARS = 8192
# Files looked at for a name. Somebody with more names the file.
_FILES_MAX = 2_000


def find_cascade(name: str, *, home: Path) -> Path:
    """The file of a cascade: a path, or the id or file name of one that is installed.

    Args:
        name: a file, a folder that holds one of its own name, a cascade_id or a file's stem.
        home: the WINDLASS_ROOT, whose `cascades/` is searched before the examples.

    Raises:
        NotFound: there is none; says which are near.
    """
    path = Path(os.path.expanduser(name))  # which leaves a "~" alone that is nobody's
    if path.is_file():
        return path
    if path.is_dir():
        for suffix in _SUFFIXES:
            for stem in (path.resolve().name, "cascade"):
                if (path / f"{stem}{suffix}").is_file():
                    return path / f"{stem}{suffix}"
        if "/" in name or name not in _installed(home):
            raise NotFound(f"{name} is a folder without a cascade of its name", hint="name the file in it")
    if "/" in name or path.suffix in _SUFFIXES:
        raise NotFound(f"there is no file {name}", hint=_near_files(path))
    known = _installed(home)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else f"known by name: {', '.join(sorted(known)) or 'none'}"
        )
        raise NotFound(f"there is no file and no known cascade called {name}", hint=hint)
    return known[name]


def example_folder() -> Path:
    """Where the shipped examples are: in the installed package, or in the checkout."""
    package = Path(windlass.__file__).parent
    return package / "_cascades" if (package / "_cascades").is_dir() else package.parent / "cascades"


def _installed(home: Path) -> dict[str, Path]:
    """Files by cascade_id and by stem; those of the WINDLASS_ROOT hide examples of the same name."""
    found: dict[str, Path] = {}
    for folder in (home / "cascades", example_folder()):
        for path in _cascade_files(folder):
            text = path.read_text(encoding="utf-8", errors="replace")[:_HEAD_CHARS]
            identified = _ID.search(text)
            if identified:
                found.setdefault(identified[1], path)
                found.setdefault(path.stem, path)
    return found


def _cascade_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for count, path in enumerate(sorted(folder.rglob("*"))):
        if count >= _FILES_MAX:
            return
        if path.suffix in _SUFFIXES and path.is_file():
            yield path


def _near_files(path: Path) -> str:
    """A hint that names files of the same folder with a similar name."""
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder} either"
    files = [file.name for file in folder.iterdir() if file.suffix in _SUFFIXES]
    near = difflib.get_close_matches(path.name, files, n=1, cutoff=0.5)
    return f"did you mean {folder / near[0]}?" if near else ""
