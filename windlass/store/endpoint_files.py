"""Inserts whose data is binary or large, through a file.

The engine takes a statement as one text, and loses what follows the first 640 KiB of binary data in
it (tried; texts are whole at any size). So such data goes into a temporary file that the statement
names, and so does a body that is in a file already.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from windlass.store.endpoint_body import Body

_BINARY = frozenset(
    (
        b"native",
        b"rowbinary",
        b"rowbinarywithnames",
        b"rowbinarywithnamesandtypes",
        b"rowbinarywithdefaults",
        b"arrow",
        b"arrowstream",
        b"parquet",
        b"orc",
        b"avro",
        b"msgpack",
        b"npy",
    )
)
# INSERT INTO name (columns) … FORMAT word, newline, data. The head is looked for in the beginning only.
_INSERT = re.compile(
    rb"\s*(?P<into>INSERT\s+INTO\s+(?:TABLE\s+)?(?:`[^`]*`|[\w.])+\s*(?:\([^()]*\))?)"
    rb"(?P<settings>[^()]*?)\bFORMAT\s+(?P<format>\w+)\s*?\n",
    re.IGNORECASE,
)
_HEAD_BYTES_MAX = 64 * 1024
_COPY_BYTES = 1024 * 1024


@contextmanager
def as_statement(query: bytes, body: Body) -> Iterator[bytes]:
    """The statement that the engine can run: query and body joined, or one that reads the body from a file.

    Raises:
        OSError: there is no room for the file.
    """
    head = query + b"\n" if query and body.size else query
    found = _INSERT.match(head + body.head(_HEAD_BYTES_MAX))
    takes_file = found and found.end() >= len(head) and (body.path or found["format"].lower() in _BINARY)
    if not found or not takes_file:
        yield head + body.whole()
        return
    with _file_from(body, found.end() - len(head)) as path:
        quoted = path.replace("\\", "\\\\").replace("'", "\\'").encode()
        yield b"%b FROM INFILE '%b'%b FORMAT %b" % (found["into"], quoted, found["settings"], found["format"])


@contextmanager
def _file_from(body: Body, start: int) -> Iterator[str]:
    """A file with the body from byte `start` on; its own where it has one."""
    if body.path and start == 0:
        yield body.path
        return
    descriptor, path = tempfile.mkstemp(prefix="windlass-insert-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            if body.path:
                with open(body.path, "rb") as source:
                    source.seek(start)
                    shutil.copyfileobj(source, file, _COPY_BYTES)
            else:
                file.write(memoryview(body.whole())[start:])
        yield path
    finally:
        os.unlink(path)
