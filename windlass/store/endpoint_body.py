"""The bodies of requests: bounded, unpacked as they arrive, in memory while small and in a file when not.

    socket ─▶ pieces (sized or chunked) ─▶ decompressor ─▶ Body: memory ──over _MEMORY_BYTES_MAX──▶ a file

Both what arrives and what it unpacks to are bounded, so no small request can fill memory or disk.
"""

import os
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from http import HTTPStatus
from io import BufferedIOBase
from typing import IO, Any, BinaryIO, cast

# The largest body, packed or not: a hundred times the writer's largest batch. Clients send larger data
# in several inserts.
BODY_BYTES_MAX = 1024 * 1024 * 1024
# What one request may hold in memory before it goes to a file: twice the writer's largest batch.
_MEMORY_BYTES_MAX = 16 * 1024 * 1024
# How much is read and unpacked at once.
_PIECE_BYTES = 256 * 1024


class BadRequest(Exception):
    """The request itself, not its statement, is wrong."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class CutShort(Exception):
    """The body ended early: half a statement must never run."""


class Body:
    """A request's body, unpacked. `close` removes its file."""

    def __init__(self) -> None:
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    @property
    def path(self) -> str:
        """The file that holds it; "" while it is in memory."""
        return str(self._file.name) if self._file else ""

    def write(self, piece: bytes) -> None:
        """Add what comes next.

        Raises:
            BadRequest: it is too large by now, or there is no room for its file.
        """
        self.size += len(piece)
        if self.size > BODY_BYTES_MAX:
            raise too_large()
        try:
            if self._file is None and self.size > _MEMORY_BYTES_MAX:
                self._file = tempfile.NamedTemporaryFile(prefix="windlass-body-")  # noqa: SIM115
                self._file.write(self._memory)
                self._memory.clear()
            if self._file is None:
                self._memory += piece
            else:
                self._file.write(piece)
        except OSError as error:
            raise BadRequest(
                HTTPStatus.INSUFFICIENT_STORAGE, f"no room for the body's file: {error.strerror}"
            ) from None

    def flush(self) -> None:
        """Make the file whole for whoever opens it by its path."""
        if self._file is not None:
            self._file.flush()

    def head(self, size: int) -> bytes:
        """Its first bytes."""
        if self._file is None:
            return bytes(self._memory[:size])
        return os.pread(self._file.fileno(), size, 0)

    def whole(self) -> bytes:
        """All of it, in memory."""
        if self._file is None:
            return bytes(self._memory)
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Let go of it."""
        self._memory.clear()
        if self._file is not None:
            self._file.close()


def read_body(source: BinaryIO | BufferedIOBase, headers: Any, into: Body) -> None:
    """Read a request's whole body.

    Raises:
        BadRequest: it is too large, or not packed as its headers say.
        CutShort: the client left in the middle of it.
    """
    pieces = (
        _chunked(source)
        if headers.get("Transfer-Encoding", "").lower() == "chunked"
        else _sized(source, headers)
    )
    encoding = headers.get("Content-Encoding", "").lower()
    for piece in pieces if encoding in ("", "identity") else _unpacked(pieces, encoding):
        into.write(piece)
    into.flush()


def too_large() -> BadRequest:
    """The error for a body over the limit."""
    return BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request may have {BODY_BYTES_MAX} bytes")


def form_fields(kind: str, body: bytes) -> dict[str, str]:
    """The plain fields of a form: how clients send statements with long parameters."""
    from email.parser import BytesParser
    from email.policy import HTTP

    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            fields[name] = payload.decode("utf-8", errors="surrogateescape")
    return fields


def _sized(source: BinaryIO | BufferedIOBase, headers: Any) -> Iterator[bytes]:
    text = headers.get("Content-Length") or "0"
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "Content-Length is no number")
    size = int(text)
    if size > BODY_BYTES_MAX:
        raise too_large()
    yield from _exactly(source, size)


def _chunked(source: BinaryIO | BufferedIOBase) -> Iterator[bytes]:
    total = 0
    while True:
        line = source.readline(64).split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", line):
            raise CutShort
        size = int(line, 16)
        total += size
        if total > BODY_BYTES_MAX:
            raise too_large()
        yield from _exactly(source, size)
        if source.readline(8) != b"\r\n":
            raise CutShort
        if size == 0:
            return


def _exactly(source: BinaryIO | BufferedIOBase, size: int) -> Iterator[bytes]:
    """The next `size` bytes, in pieces."""
    while size:
        piece = source.read(min(size, _PIECE_BYTES))
        if not piece:
            raise CutShort
        size -= len(piece)
        yield piece


def _unpacked(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The body as it was before the client packed it, in one or more frames."""
    make = _decompressor(encoding)
    unpacker: Any = None
    try:
        for piece in pieces:
            data = piece
            while True:
                if unpacker is None:
                    if not data:
                        break
                    unpacker = make()
                yield bytes(unpacker.decompress(data, _PIECE_BYTES))
                data = b""
                if unpacker.eof:
                    data, unpacker = unpacker.unused_data or b"", None
                elif unpacker.needs_input:
                    break
    except (ValueError, OSError, EOFError, RuntimeError, zlib.error, _zstd_error()) as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"the body is no {encoding}: {error}") from None
    if unpacker is not None:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"the body is no {encoding}: it ends within a frame")


def _decompressor(encoding: str) -> Callable[[], Any]:
    """What makes a decompressor with `decompress(data, max_length)`, `eof`, `needs_input`, `unused_data`."""
    match encoding:
        case "gzip":
            return lambda: _Zlib(31)
        case "deflate":
            return lambda: _Zlib(15)
        case "zstd":
            return cast("Callable[[], Any]", _zstd().ZstdDecompressor)
        case "lz4":
            try:
                from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-not-found,unused-ignore]
            except ImportError:
                pass
            else:
                return cast("Callable[[], Any]", LZ4FrameDecompressor)
    raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"bodies in {encoding!r} are not understood")


class _Zlib:
    """zlib's decompressor with the interface of the others."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


def _zstd() -> Any:
    """Python's own since 3.14; before, that of the package clickhouse-connect depends on."""
    from importlib import import_module

    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _zstd_error() -> type[Exception]:
    return cast("type[Exception]", _zstd().ZstdError)
