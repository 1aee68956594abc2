"""A version of a cascade: its file and every file it names, addressed by their content.

A session runs the bundle it was started with, on any worker. Names in a bundle are relative to
the common root of its files, with `/`. What was found in a searched folder lies below `_found/`
beside the cascade's file, where `load_cascade` looks by itself, so that an unpacked bundle means
what its cascade meant.
"""

import hashlib
import io
import json
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from windlass.errors import AuthorError
from windlass.model.cascade import Cascade
from windlass.model.files import FOUND
from windlass.model.modules import module_files

# A bundle travels through the store and is unpacked on every worker; data sets don't belong in it.
BUNDLE_BYTES_MAX = 64 * 1024 * 1024
# As many as a large package has; each file costs an inode on every worker.
BUNDLE_FILES_MAX = 10_000
# Two names (the file's and its folder's) with room to spare.
_NAME_CHARS_MAX = 1024
# The oldest time that zip files know: the archive must not depend on when it was made.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Bundle:
    """One version of a cascade.

    Attributes:
        hash: sha256 (hex) over the names, the contents' hashes and the entry.
        files: content by name; names are relative, with `/`.
        entry: the name of the cascade's own file.
    """

    hash: str
    files: Mapping[str, bytes]
    entry: str

    def to_bytes(self) -> bytes:
        """A zip archive, the same bytes for the same bundle."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            archive.comment = json.dumps({"entry": self.entry}).encode()
            for name in sorted(self.files):
                info = zipfile.ZipInfo(name, date_time=_EPOCH)
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, self.files[name])
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Bundle":
        """The bundle that `to_bytes` wrote.

        Raises:
            AuthorError: the data is no bundle, a name in it is unsafe, or it is too large.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                infos = archive.infolist()
                _check_size({info.filename: info.file_size for info in infos})
                files = {info.filename: _content(archive, info) for info in infos}
                entry = json.loads(archive.comment)["entry"]
        except (
            zipfile.BadZipFile,
            zlib.error,
            ValueError,
            KeyError,
            TypeError,
            OSError,
            RuntimeError,
            EOFError,
        ) as error:
            raise AuthorError(f"this is not a bundle of a cascade: {error}") from None
        return bundle_of(files, entry)


def bundle_of(files: Mapping[str, bytes], entry: str) -> Bundle:
    """The bundle of these files.

    Raises:
        AuthorError: a name is unsafe, or the entry is not among the files.
    """
    for name in files:
        check_name(name)
    if entry not in files:
        raise AuthorError(f"the bundle has no file '{entry}', which should be its cascade")
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(json.dumps([name, hashlib.sha256(files[name]).hexdigest()]).encode() + b"\n")
    digest.update(json.dumps(entry).encode())
    return Bundle(digest.hexdigest(), dict(files), entry)


def make_bundle(cascade: Cascade) -> Bundle:
    """The version of a loaded cascade: everything it needs to run elsewhere.

    Raises:
        AuthorError: a file is gone, the whole is too large, or two files claim one name.
    """
    entry = cascade.path.name if cascade.path else f"{cascade.cascade_id}{_suffix(cascade.text)}"
    collected = _Collector()
    collected.add_cascade(cascade, entry)
    _check_size(collected.sizes)
    up = max(name.split("/").count("..") for name in collected.paths)
    above = "/".join(cascade.folder.parts[-up:]) if up and cascade.folder else ""
    files = {}
    for name, source in collected.paths.items():
        placed = _normal(f"{above}/{name}") if above else name
        files[placed] = source if isinstance(source, bytes) else _read(source)
    return bundle_of(files, _normal(f"{above}/{entry}") if above else entry)


def unpack_bundle(bundle: Bundle, into: Path) -> Path:
    """Writes the files below the folder `into`, as far as they are not there already; the entry's path.

    The folder appears whole or not at all, also when several processes unpack at once. Files of one that is
    there are put right: authors' code runs in it, and a session runs what it started with.

    Raises:
        AuthorError: a name is unsafe.
        OSError: the disk is full or the folder can't be written.
    """
    for name in bundle.files:
        check_name(name)
    entry = into / bundle.entry
    if entry.is_file():
        _put_right(bundle, into)
        return entry
    into.parent.mkdir(parents=True, exist_ok=True)
    made = into.parent / f".{into.name}.{uuid.uuid4().hex}"
    try:
        for name, content in bundle.files.items():
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        made.rename(into)
    except OSError:
        if not entry.is_file():  # else another process was faster, and its folder is the same
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return entry


def _put_right(bundle: Bundle, folder: Path) -> None:
    """Write again what is missing or was changed."""
    for name, content in bundle.files.items():
        path = folder / name
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.parent / f".{uuid.uuid4().hex}"
        made.write_bytes(content)
        made.replace(path)


def check_name(name: str) -> None:
    """Refuses names that could leave the folder a bundle is unpacked in.

    Raises:
        AuthorError: the name is absolute, has `..`, or is not a plain relative one.
    """
    parts = name.split("/")
    plain = (
        0 < len(name) <= _NAME_CHARS_MAX and not any(char in name for char in "\\\0") and name.isprintable()
    )
    if not plain or any(part in ("", ".", "..") for part in parts) or ":" in parts[0]:
        raise AuthorError(f"the bundle holds a file with the unsafe name {name[:200]!r}")


class _Collector:
    """Gathers files under their names relative to the cascade's folder, `../` included."""

    def __init__(self) -> None:
        self.paths: dict[str, Path | bytes] = {}
        self.sizes: dict[str, int] = {}

    def add_cascade(self, cascade: Cascade, name: str) -> None:
        """Adds a cascade's file and what it names, its sub-cascades included."""
        if name in self.paths:
            return
        self._add(name, cascade.text.encode())
        prefix = str(PurePosixPath(name).parent)
        children = {path: cascade.child(ref) for ref, path in cascade.children.items()}
        for place, path in cascade.named_files:
            placed = _placed(prefix, place)
            if path in children:
                self.add_cascade(children[path], placed)
            else:
                self._add(placed, path)
        for place, path in module_files(cascade):
            self._add(_placed(prefix, place), path)
        for pattern in cascade.files:
            self._add_glob(cascade, pattern, prefix)

    def _add_glob(self, cascade: Cascade, pattern: str, prefix: str) -> None:
        assert cascade.folder is not None
        for found in sorted(cascade.folder.glob(pattern)):
            inside = sorted(found.rglob("*")) if found.is_dir() else [found]
            for path in inside:
                if path.is_file():
                    self._add(_placed(prefix, path.relative_to(cascade.folder).as_posix()), path)

    def _add(self, name: str, source: Path | bytes) -> None:
        known = self.paths.get(name)
        if known is None:
            if len(self.paths) >= BUNDLE_FILES_MAX:
                raise AuthorError(
                    f"the cascade has more than {BUNDLE_FILES_MAX:,} files",
                    hint="leave data where it is and name its folder under 'access'",
                )
            self.paths[name] = source
            self.sizes[name] = len(source) if isinstance(source, bytes) else _size(source)
        elif known != source and isinstance(known, Path) and isinstance(source, Path):
            raise AuthorError(
                f"{known} and {source} would both be '{name}' in the cascade's bundle",
                hint="give one of them another name",
            )


def _placed(prefix: str, place: str) -> str:
    """A name relative to a cascade's folder as one relative to the outermost cascade's."""
    place = PurePosixPath(place).as_posix()
    return place if place.startswith(FOUND + "/") or prefix == "." else _normal(f"{prefix}/{place}")


def _normal(name: str) -> str:
    return os.path.normpath(name).replace(os.sep, "/")


def _check_size(sizes: Mapping[str, int]) -> None:
    total = sum(sizes.values())
    if total <= BUNDLE_BYTES_MAX and len(sizes) <= BUNDLE_FILES_MAX:
        return
    largest = max(sizes, key=lambda name: sizes[name])
    mib = 1024 * 1024
    raise AuthorError(
        f"the cascade and its {len(sizes):,} files are {total / mib:.1f} MiB, and the most is "
        f"{BUNDLE_BYTES_MAX // mib} MiB in {BUNDLE_FILES_MAX:,} files; the largest is '{largest}' "
        f"({sizes[largest] / mib:.1f} MiB)",
        hint="leave large data where it is: name its path under 'access: {read: …}', not under 'files'",
    )


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member's content, never more than it says it has."""
    check_name(info.filename)
    with archive.open(info) as member:
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise ValueError(f"'{info.filename}' is not as long as it says")
    return content


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise AuthorError(f"{path} can't be read: {error.strerror}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuthorError(f"{path} can't be read: {error.strerror}") from None


def _suffix(text: str) -> str:
    return ".json" if text.lstrip().startswith("{") else ".yaml"
