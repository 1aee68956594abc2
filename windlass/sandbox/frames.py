"""Messages between worker and child: eight bytes of length, then JSON in UTF-8.

Both ends of the socket are ours, but the author's code runs in one of them and may write what it likes:
the reader believes no length above `FRAME_BYTES_MAX` and raises `FrameError` on anything else it can't read.
"""

import json
import socket
import struct
from typing import Any

# Twice the largest output that the settings allow (512 MiB), so that the cap is met there and not here.
FRAME_BYTES_MAX = 1 << 30
_LENGTH = struct.Struct("!Q")


class FrameError(Exception):
    """The other end sent something that is no frame, or a frame would be over the cap."""


def pack(message: dict[str, Any]) -> bytes:
    """`message` as one frame.

    Raises:
        FrameError: it is larger than `FRAME_BYTES_MAX`.
        TypeError, ValueError: it is not JSON.
    """
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if len(body) > FRAME_BYTES_MAX:
        raise FrameError(f"a message of {len(body):,} bytes is over the limit of {FRAME_BYTES_MAX:,}")
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Reads frames from a socket, blocking or not."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._start()

    def _start(self) -> None:
        self._buffer = bytearray(_LENGTH.size)
        self._filled = 0
        self._in_body = False

    def read(self) -> dict[str, Any] | None:
        """The next message, or None where a non-blocking socket has no whole one yet.

        Raises:
            EOFError: the other end is closed.
            FrameError: what came is no frame.
        """
        while True:
            while self._filled < len(self._buffer):
                try:
                    count = self._sock.recv_into(memoryview(self._buffer)[self._filled :])
                except BlockingIOError:
                    return None
                except ConnectionError:
                    count = 0
                if count == 0:
                    raise EOFError
                self._filled += count
            if self._in_body:
                body = self._buffer
                self._start()
                return _parse(body)
            (length,) = _LENGTH.unpack(self._buffer)
            if length > FRAME_BYTES_MAX:
                raise FrameError(f"a length of {length:,} bytes is over the limit of {FRAME_BYTES_MAX:,}")
            self._buffer, self._filled, self._in_body = bytearray(length), 0, True


def _parse(body: bytearray) -> dict[str, Any]:
    try:
        message = json.loads(body.decode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise FrameError(f"a message that is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise FrameError("a message that is not a JSON object")
    return message
