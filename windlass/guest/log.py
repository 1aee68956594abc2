"""What authors' code prints, as lines of the session's log."""

from collections.abc import Callable

_LEVELS = {"stdout": "info", "stderr": "warning"}
# A line longer than this is cut into several; nobody reads it, and a row should stay a row.
LINE_BYTES_MAX = 16_384


class OutputLog:
    """Cuts chunks into lines and hands them on, up to a limit.

    Args:
        log: takes (level, text).
        bytes_max: how much text is kept; the rest is counted.
    """

    def __init__(self, log: Callable[[str, str], None], *, bytes_max: int) -> None:
        self._log = log
        self._left = bytes_max
        self._dropped = 0
        self._parts: dict[str, bytes] = {}

    def take(self, stream: str, chunk: bytes) -> None:
        """A chunk of "stdout" or "stderr", as it came."""
        if self._left <= 0:
            self._dropped += len(chunk)
            return
        *lines, rest = (self._parts.pop(stream, b"") + chunk).split(b"\n")
        for line in lines:
            self._write(stream, line, end_bytes=1)
        if len(rest) > LINE_BYTES_MAX:
            whole = len(rest) - len(rest) % LINE_BYTES_MAX
            self._write(stream, rest[:whole], end_bytes=0)
            rest = rest[whole:]
        if rest:
            self._parts[stream] = rest

    def finish(self) -> None:
        """The end of the output: a last line without a newline, and what was not kept."""
        for stream, rest in self._parts.items():
            self._write(stream, rest, end_bytes=0)
        self._parts.clear()
        if self._dropped:
            self._log("warning", f"… {self._dropped:,} more bytes were printed and not kept")
            self._dropped = 0

    def _write(self, stream: str, line: bytes, *, end_bytes: int) -> None:
        """Hand on a line; `end_bytes` is 1 where a newline ended it, so that chunks make no difference."""
        kept = line[: max(self._left, 0)]
        self._left -= len(line) + end_bytes
        self._dropped += min(len(line) + end_bytes, max(0, -self._left))
        for start in range(0, len(kept), LINE_BYTES_MAX) or ([0] if not line else []):
            text = kept[start : start + LINE_BYTES_MAX].decode(errors="replace")
            self._log(_LEVELS.get(stream, "info"), text.removesuffix("\r"))
