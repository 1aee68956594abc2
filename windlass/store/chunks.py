"""Large values in chunks: how bundles and artifacts travel to the store and back."""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import BinaryIO

# No row is larger than this, so that no statement is, whatever the value.
CHUNK_BYTES = 1024 * 1024
# Chunks of one statement, on the way in and out: what a statement holds in memory at most, times three.
CHUNKS_AT_ONCE = 8


def split(source: BinaryIO) -> Iterator[bytes]:
    """The source in pieces of `CHUNK_BYTES`; one empty piece when it is empty."""
    piece = source.read(CHUNK_BYTES)
    yield piece
    while len(piece) == CHUNK_BYTES:
        piece = source.read(CHUNK_BYTES)
        if piece:
            yield piece


def count(size: int) -> int:
    """How many pieces `split` makes of `size` bytes."""
    return max(1, -(-size // CHUNK_BYTES))


def to_text(piece: bytes) -> str:
    """A piece as it stands in a row on its way in (the store decodes it)."""
    return b64encode(piece).decode()


def from_text(text: str) -> bytes:
    """The piece that a query gives as base64."""
    return b64decode(text)
