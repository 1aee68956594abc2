"""One HTTP request of ClickHouse's protocol: read it, run it, answer it."""

import json
import re
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from windlass.store.endpoint_body import BadRequest, decompress, form_fields
from windlass.store.endpoint_files import through_file
from windlass.store.endpoint_handles import Busy, EngineError

# The largest request: eight times the writer's largest batch.
BODY_BYTES_MAX = 256 * 1024 * 1024
# A connection that says nothing for this long is closed; clients keep theirs for less.
_IDLE_S_MAX = 600
# What the protocol itself uses; everything else in the URL is a setting of the engine.
_TRANSPORT = frozenset(
    {
        "query",
        "user",
        "password",
        "database",
        "default_format",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "quota_key",
        "role",
        "compress",
        "decompress",
        "wait_end_of_query",
        "client_protocol_version",
        "buffer_size",
        "stacktrace",
        "close_session",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "enable_http_compression",
        "cancel_http_readonly_queries_on_client_close",
        "http_response_buffer_size",
    }
)
# Formats whose blocks, one after the other, are the whole answer; others are answered in one piece.
_STREAMED = frozenset(
    {"native", "jsoneachrow", "tabseparated", "tsv", "csv", "rowbinary", "jsoncompacteachrow"}
)
_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_READS = re.compile(
    rb"\s*(?:--[^\n]*\n\s*)*\(?\s*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN)\b", re.IGNORECASE
)
# What the engine can give block by block; SHOW and its like it cannot.
_STREAMS = re.compile(rb"\s*(?:--[^\n]*\n\s*)*\(?\s*(SELECT|WITH)\b", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)")
# ClickHouse's own choice of status by code; what is not listed is the server's fault, 500.
_STATUS = {
    516: HTTPStatus.UNAUTHORIZED,
    60: HTTPStatus.NOT_FOUND,
    81: HTTPStatus.NOT_FOUND,
    62: HTTPStatus.BAD_REQUEST,
    46: HTTPStatus.NOT_FOUND,
    47: HTTPStatus.NOT_FOUND,
    27: HTTPStatus.BAD_REQUEST,
    159: HTTPStatus.REQUEST_TIMEOUT,
}


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "Windlass"
    disable_nagle_algorithm = (
        True  # Else every small answer waits 40 ms for the client's delayed acknowledgement.
    )
    wbufsize = -1  # Headers and a small answer leave in one packet.
    timeout = _IDLE_S_MAX
    server: Any

    def do_GET(self) -> None:
        """A statement in the URL, or /ping."""
        if urlsplit(self.path).path in ("/ping", "/replicas_status"):
            self._answer(HTTPStatus.OK, b"Ok.\n", {})
        else:
            self._respond()

    def do_POST(self) -> None:
        """A statement in the URL, the body, or the URL with its data in the body."""
        self._respond()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: their URLs can hold values."""

    def _respond(self) -> None:
        params = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        try:
            body = self._body(params)
            if not self.server.admits(self.headers, params):
                self._fail("Code: 516. DB::Exception: user or password is wrong (AUTHENTICATION_FAILED)")
                return
            self._run(params, body)
        except EngineError as error:
            self._fail(str(error))
        except Busy:
            self._answer(
                HTTPStatus.SERVICE_UNAVAILABLE, b"The endpoint is busy or closing.\n", {"Retry-After": "1"}
            )
        except BadRequest as error:
            self.close_connection = True
            self._answer(error.status, (str(error) + "\n").encode(), {})

    def _run(self, params: dict[str, str], body: bytes) -> None:
        head = params.get("query", "").encode()
        statement = head + b"\n" + body if head and body else head or body
        if not statement.strip():
            raise EngineError("Code: 62. DB::Exception: Empty query. (SYNTAX_ERROR)")
        # Parameters arrive escaped as in a TSV field, which is what the engine takes them as.
        bound = {name[6:]: value for name, value in params.items() if name.startswith("param_")}
        settings = {
            name: value
            for name, value in params.items()
            if name not in _TRANSPORT and not name.startswith("param_")
        }
        found = _FORMAT.search(statement[-200:]) if _READS.match(statement) else None
        form = found.group(1).decode() if found else params.get("default_format", "TabSeparated")
        answer = {
            "X-ClickHouse-Query-Id": params.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Server-Display-Name": "windlass",
        }
        reads = _READS.match(statement) is not None
        if reads:
            answer["X-ClickHouse-Format"] = form
        with self.server.handles.handle(params.get("database", ""), settings) as handle:
            # Who asks to wait gets an answer or an error; others get blocks, and maybe an error after them.
            waits = params.get("wait_end_of_query", "0") not in ("", "0")
            if not waits and form.lower() in _STREAMED and _STREAMS.match(statement):
                chunks = handle.stream(statement, form, bound)
                first, second = next(chunks, b""), next(chunks, None)
                if second is not None:
                    self._answer_in_chunks(first, second, chunks, answer)
                    return
            else:
                with through_file(statement) as runnable:
                    first = handle.run(runnable, form, bound)
        answer["X-ClickHouse-Summary"] = json.dumps({"read_rows": "0", "written_rows": "0"})
        self._answer(HTTPStatus.OK, first, answer)

    def _body(self, params: dict[str, str]) -> bytes:
        raw = (
            self._chunked()
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked"
            else self._sized()
        )
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            params.update(form_fields(kind, raw))
            return b""
        return decompress(raw, self.headers.get("Content-Encoding", ""))

    def _sized(self) -> bytes:
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 <= size <= BODY_BYTES_MAX:
            raise BadRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request may have {BODY_BYTES_MAX} bytes"
            )
        body = self.rfile.read(size)
        if len(body) < size:
            # The client went away in the middle: half a statement must never run.
            raise BadRequest(HTTPStatus.BAD_REQUEST, "the body ended early")
        return body

    def _chunked(self) -> bytes:
        pieces: list[bytes] = []
        total = 0
        while True:
            try:
                size = int(self.rfile.readline(64).split(b";")[0], 16)
            except ValueError:
                raise BadRequest(HTTPStatus.BAD_REQUEST, "the body ended early") from None
            total += size
            if total > BODY_BYTES_MAX or size < 0:
                raise BadRequest(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request may have {BODY_BYTES_MAX} bytes"
                )
            piece = self.rfile.read(size)
            if len(piece) < size or self.rfile.readline(8) != b"\r\n":
                raise BadRequest(HTTPStatus.BAD_REQUEST, "the body ended early")
            if size == 0:
                return b"".join(pieces)
            pieces.append(piece)

    def _fail(self, text: str) -> None:
        found = _CODE.search(text)
        code = int(found.group(1)) if found else 1002
        status = _STATUS.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)
        self._answer(status, text.encode() + b"\n", {"X-ClickHouse-Exception-Code": str(code)})

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _answer_in_chunks(
        self, first: bytes, second: bytes, rest: Iterator[bytes], headers: dict[str, str]
    ) -> None:
        """A large answer as it comes.

        Failure: an error in the middle is written after the blocks between marks that stand in a header,
        as ClickHouse does, and the connection is cut; clients must not take half an answer for all.
        """
        tag = uuid.uuid4().hex[:16]
        self.send_response(HTTPStatus.OK)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("X-ClickHouse-Exception-Tag", tag)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._chunk(first)
            self._chunk(second)
            for piece in rest:
                self._chunk(piece)
        except EngineError as error:
            self.close_connection = True
            text = str(error)
            mark = f"__exception__\r\n{tag}\r\n{text}\n{len(text.encode()) + 1} {tag}\r\n__exception__\r\n"
            self._chunk(mark.encode())
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _chunk(self, piece: bytes) -> None:
        if piece:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
