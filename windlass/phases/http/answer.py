"""An HTTP answer, read with a limit and made a value."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from windlass.clock import now
from windlass.phases.failure import PhaseError
from windlass.records import Json

if TYPE_CHECKING:
    import requests

# Bytes taken from the connection at a time; between two the request can be stopped.
_CHUNK_BYTES = 64 * 1024
# How much of an unwanted answer a failure shows.
_SHOWN_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        headers: names in lower case.
        body: the bytes, decompressed.
        form: how they are to be read: json, text, bytes or auto (by the content type).
        encoding: the text's character set as the server says it, or "".
        shown: the request, for messages.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    form: str
    encoding: str
    shown: str

    def as_json(self) -> dict[str, Json]:
        """{status, headers} with `json`, `text` or `base64`.

        Raises:
            PhaseError: it should be JSON and is not.
        """
        found: dict[str, Json] = {"status": self.status, "headers": dict(self.headers)}
        if self.form == "bytes":
            return {**found, "base64": b64encode(self.body).decode()}
        if self.form == "json" or (self.form == "auto" and self._says_json and self.body.strip()):
            return {**found, "json": self._json()}
        return {**found, "text": self._text()}

    def beginning(self) -> str:
        """The start of the body, for a failure's detail."""
        text = self._text()
        rest = f"\n… {len(text) - _SHOWN_CHARS:,} more characters" if len(text) > _SHOWN_CHARS else ""
        return text[:_SHOWN_CHARS] + rest

    def retry_after_s(self) -> float | None:
        """Seconds until the server wants to be asked again (`Retry-After`), None where it says nothing."""
        later = self.headers.get("retry-after", "").strip()
        if later.isdecimal():
            return float(later)
        try:
            return max(0.0, (parsedate_to_datetime(later) - now()).total_seconds())
        except (TypeError, ValueError):  # no date, or one without a time zone
            return None

    @property
    def _says_json(self) -> bool:
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        return kind == "application/json" or kind.endswith("+json")

    def _text(self) -> str:
        try:
            return self.body.decode(self.encoding or "utf-8", errors="replace")
        except LookupError:  # a character set that nobody knows
            return self.body.decode("utf-8", errors="replace")

    def _json(self) -> Json:
        try:
            return json.loads(self.body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise PhaseError(
                f"{self.shown} answered what is not JSON: {error}",
                kind="http",
                detail=self.beginning(),
                hint="`response: text` takes it as text",
                retryable=False,
            ) from None


def read_answer(
    response: "requests.Response", *, form: str, bytes_max: int, shown: str, check: Callable[[], None]
) -> Answer:
    """Read the body in chunks.

    Args:
        response: an answer whose body was not read.
        form: json, text, bytes or auto.
        bytes_max: the largest body, decompressed.
        shown: the request, for messages.
        check: called between chunks; raises when the work must end.

    Raises:
        PhaseError: the body is larger.
    """
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_content(_CHUNK_BYTES):
        check()
        size += len(chunk)
        if size > bytes_max:
            raise PhaseError(
                f"{shown} answered more than {bytes_max:,} bytes",
                kind="http",
                hint="`max_bytes` under `http` takes more, up to WINDLASS_OUTPUT_MB; "
                "a python phase can write a large answer to a file",
                retryable=False,
            )
        chunks.append(chunk)
    return Answer(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        body=b"".join(chunks),
        form=form,
        encoding=_encoding(response),
        shown=shown,
    )


def _encoding(response: "requests.Response") -> str:
    """The character set, only where the server says one; `requests` would guess Latin-1."""
    return (response.encoding or "") if "charset" in response.headers.get("content-type", "").lower() else ""


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
