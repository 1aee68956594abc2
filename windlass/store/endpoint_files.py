"""Inserts in binary formats, through a file.

The engine takes a statement as one text, and loses what follows the first 640 KiB of binary data in
it (tried; texts are whole at any size). So such data goes into a temporary file that the statement names.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_BINARY = frozenset(
    (
        b"native",
        b"rowbinary",
        b"rowbinarywithnames",
        b"rowbinarywithnamesandtypes",
        b"arrow",
        b"arrowstream",
        b"parquet",
    )
)
# INSERT INTO name (columns) … FORMAT word, newline, data. The head is looked for in the beginning only.
_INSERT = re.compile(
    rb"\s*(?P<into>INSERT\s+INTO\s+(?:TABLE\s+)?(?:`[^`]*`|[\w.])+\s*(?:\([^()]*\))?)"
    rb"(?P<settings>[^()]*?)\bFORMAT\s+(?P<format>\w+)\s*?\n",
    re.IGNORECASE,
)
_HEAD_BYTES_MAX = 64 * 1024


@contextmanager
def through_file(statement: bytes) -> Iterator[bytes]:
    """The statement to run instead: the same one, or one that reads its binary data from a file.

    Raises:
        OSError: there is no room for the file.
    """
    found = _INSERT.match(statement[:_HEAD_BYTES_MAX])
    if not found or found["format"].lower() not in _BINARY:
        yield statement
        return
    descriptor, path = tempfile.mkstemp(prefix="windlass-insert-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(memoryview(statement)[found.end() :])
        quoted = path.replace("\\", "\\\\").replace("'", "\\'").encode()
        yield b"%b FROM INFILE '%b'%b FORMAT %b" % (found["into"], quoted, found["settings"], found["format"])
    finally:
        os.unlink(path)
