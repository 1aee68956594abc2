"""The bodies of requests: compressed in the ways clients use, or forms of fields."""

import gzip
import sys
import zlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast


class BadRequest(Exception):
    """The request itself, not its statement, is wrong."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def decompress(body: bytes, encoding: str) -> bytes:
    """The body as it was before the client compressed it.

    Raises:
        BadRequest: it is not compressed that way, or in a way not known here.
    """
    try:
        match encoding.lower():
            case "" | "identity":
                return body
            case "gzip":
                return gzip.decompress(body)
            case "deflate":
                return zlib.decompress(body)
            case "lz4":
                from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-not-found,unused-ignore]

                return _frames(body, LZ4FrameDecompressor)
            case "zstd":
                return _frames(body, _zstd_decompressor())
    except (ValueError, OSError, EOFError, RuntimeError, ImportError, zlib.error) as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"the body is no {encoding}: {error}") from None
    raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"bodies in {encoding!r} are not understood")


def _zstd_decompressor() -> Callable[[], Any]:
    """Python's own since 3.14; before, that of the package clickhouse-connect depends on."""
    from importlib import import_module

    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return cast("Callable[[], Any]", import_module(module).ZstdDecompressor)


def _frames(body: bytes, decompressor: Callable[[], Any]) -> bytes:
    """A body of one or more frames: clients compress each block by itself."""
    pieces = []
    while body:
        frame = decompressor()
        pieces.append(bytes(frame.decompress(body)))
        if not frame.eof:
            raise ValueError("it ends within a frame")
        body = frame.unused_data
    return b"".join(pieces)


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
