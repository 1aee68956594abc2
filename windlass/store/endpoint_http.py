"""One HTTP request of ClickHouse's protocol: read it, run it, answer it."""

import json
import re
import time
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from windlass.store.endpoint_body import BadRequest, Body, CutShort, form_fields, read_body
from windlass.store.endpoint_files import as_statement
from windlass.store.endpoint_handles import Busy, EngineError

# A connection that says nothing for this long is closed; clients keep theirs for less.
_IDLE_S_MAX = 600
# How much of a refused request is read and dropped, so that its sender gets to read the answer, and for how
# long: what a client sends before it looks up.
_DROPPED_BYTES_MAX = 64 * 1024 * 1024
_DROPPING_S_MAX = 5.0
_DROPPED_PIECE_BYTES = 256 * 1024
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
# Who types an address into a browser sends these, and what is no browser sends nothing.
_OWN_SITES = ("none", "same-origin")
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
        """A query in the URL, which may only read, as ClickHouse has it for GET; or /ping."""
        if urlsplit(self.path).path in ("/ping", "/replicas_status"):
            self._answer(HTTPStatus.OK, b"Ok.\n", {})
        else:
            self._respond(may_write=False)

    def do_POST(self) -> None:
        """A statement in the URL, the body, or the URL with its data in the body."""
        self._respond(may_write=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: their URLs can hold values."""

    def _respond(self, *, may_write: bool) -> None:
        params = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = Body()
        try:
            if not self._admits(params):
                return
            read_body(self.rfile, self.headers, body)
            if not may_write:
                params.setdefault("readonly", "2")
            self._run(params, body)
        except EngineError as error:
            self._fail(str(error))
        except Busy:
            self._answer_busy()
        except CutShort:
            # The client has gone, or we are closing; then it must not take this for its statement's refusal.
            self.close_connection = True
            if self.server.is_closing:
                self._answer_busy()
            else:
                self._answer(HTTPStatus.BAD_REQUEST, b"the body ended early\n", {})
        except BadRequest as error:
            self._answer(error.status, f"{error}\n".encode(), {"Connection": "close"})
            self._drop_body()
        finally:
            body.close()

    def _admits(self, params: dict[str, str]) -> bool:
        """May the request go on? Answered here if not, before any of its body is looked at.

        Raises:
            BadRequest: it comes from a web page. Any page may have a browser send requests to this
                machine's ports, and a store without a password would carry them out.
        """
        if self.headers.get("Origin") or self.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
            raise BadRequest(HTTPStatus.FORBIDDEN, "requests of web pages are not answered")
        if self.server.admits(self.headers, params):
            return True
        self._fail("Code: 516. DB::Exception: user or password is wrong. (AUTHENTICATION_FAILED)")
        self._drop_body()
        return False

    def _run(self, params: dict[str, str], body: Body) -> None:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            params.update(form_fields(kind, body.whole()))
            body.close()
            body = Body()
        with as_statement(params.get("query", "").encode("utf-8", "surrogateescape"), body) as statement:
            if not statement.strip():
                raise EngineError("Code: 62. DB::Exception: Empty query. (SYNTAX_ERROR)")
            self._run_statement(statement, params)

    def _run_statement(self, statement: bytes, params: dict[str, str]) -> None:
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
                first = handle.run(statement, form, bound)
        answer["X-ClickHouse-Summary"] = json.dumps({"read_rows": "0", "written_rows": "0"})
        self._answer(HTTPStatus.OK, first, answer)

    def _fail(self, text: str) -> None:
        found = _CODE.search(text)
        code = int(found.group(1)) if found else 1002
        status = _STATUS.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)
        self._answer(status, text.encode() + b"\n", {"X-ClickHouse-Exception-Code": str(code)})

    def _drop_body(self) -> None:
        """After an early answer: read what is still sent and forget it, up to a limit, then close.

        Closing at once would reset the connection, and the sender would see that in place of the answer.
        """
        self.close_connection = True
        deadline = time.monotonic() + _DROPPING_S_MAX
        sized = re.fullmatch(r"[0-9]{1,18}", self.headers.get("Content-Length") or "")
        left = min(int(sized[0]), _DROPPED_BYTES_MAX) if sized else _DROPPED_BYTES_MAX
        if not sized and "Transfer-Encoding" not in self.headers:
            return
        try:
            self.connection.settimeout(_DROPPING_S_MAX)
            while left > 0 and time.monotonic() < deadline:
                piece = self.rfile.read1(min(left, _DROPPED_PIECE_BYTES))
                if not piece:
                    return
                left -= len(piece)
        except OSError:
            return

    def _answer_busy(self) -> None:
        text = b"The endpoint is busy or closing.\n"
        self._answer(HTTPStatus.SERVICE_UNAVAILABLE, text, {"Retry-After": "1"})

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
