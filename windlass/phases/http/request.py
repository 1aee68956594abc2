"""One request and its answer.

The answer is `{status, headers, json}` or `{status, headers, text}`; headers' names are in lower case.
A list of objects is also the table `_<phase>`. Any status but the expected ones is a failure.

Redirects are followed by hand. One that leads to a private address is refused unless `allow_private`
says otherwise; one to another origin loses every header that the author wrote, but for those that
describe the content. Proxies and certificates of the environment are not used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from windlass import __version__
from windlass.clock import boot_s
from windlass.model import HttpPhase, HttpRequest
from windlass.phases.contract import Done, Outcome, PhaseContext
from windlass.phases.failure import PhaseError
from windlass.phases.guest_call import is_list_of_objects
from windlass.phases.http.address import Resolve, allowed_addresses, resolve_host
from windlass.phases.http.answer import Answer, read_answer
from windlass.phases.http.connection import Cutter, pinned_adapter
from windlass.tools import as_text

if TYPE_CHECKING:
    import requests

# Redirects in a row; browsers take 20, but an API that needs more than a few is broken.
_REDIRECTS_MAX = 5
# Seconds until a connection stands. A reachable server takes far less than one.
_CONNECT_S = 10.0
_REDIRECTS = (301, 302, 303, 307, 308)
# Failures that pass by themselves: timeouts, too early, too many requests, and the server's own.
_PASSING = (408, 425, 429)
# Headers that another origin may see: they describe the content and say nothing of who asks.
_OPEN_HEADERS = frozenset(("accept", "accept-language", "content-type", "user-agent"))


@dataclass(frozen=True, slots=True)
class _Request:
    """A rendered request, ready to be sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: Mapping[str, Any]
    body: bytes | None

    @property
    def shown(self) -> str:
        """Method and address for messages, without a query or a user, which may be secret."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
        return f"{self.method} {parts.scheme}://{host}{port}{parts.path}"


def run_http(context: PhaseContext, *, resolve: Resolve = resolve_host) -> Outcome:
    """Send the request and read the answer.

    Args:
        context: what the phase is given.
        resolve: gives a host's addresses; another one in tests.
    """
    phase = context.phase
    assert isinstance(phase, HttpPhase)
    request = _rendered(context, phase.http)
    with Cutter(stop=context.stop.event, deadline_s=context.deadline_s) as cutter:
        answer = _exchange(context, phase.http, request, resolve, cutter)
    output = answer.as_json()
    if not is_list_of_objects(output.get("json")):
        return Done(output=output)
    reply = context.guest.table(phase=phase.name, rows=output["json"], timeout_s=context.left_s)
    return Done(output=output, saved=tuple(reply.saved))


def _rendered(context: PhaseContext, http: HttpRequest) -> _Request:
    """The request with every template in it rendered."""
    headers = {"User-Agent": f"windlass/{__version__}", "Idempotency-Key": context.idempotency_key}
    body = None
    if "json_body" in http.model_fields_set:
        body = _json_bytes(context.render(http.json_body))
        headers["Content-Type"] = "application/json"
    elif http.body is not None:
        body = as_text(context.render(http.body)).encode()
        headers["Content-Type"] = "text/plain; charset=utf-8"
    own = {name: as_text(context.render(value)) for name, value in http.headers.items()}
    taken = {name.lower() for name in own}
    params = {name: _param(value) for name, value in context.render(http.params).items() if value is not None}
    return _Request(
        method=http.method,
        url=as_text(context.render(http.url)).strip(),
        headers={**{name: each for name, each in headers.items() if name.lower() not in taken}, **own}
        | _authorization(context, http),
        params=params,
        body=body,
    )


def _authorization(context: PhaseContext, http: HttpRequest) -> dict[str, str]:
    from base64 import b64encode

    if http.auth is None:
        return {}
    if http.auth.bearer is not None:
        return {"Authorization": f"Bearer {context.render(http.auth.bearer)}"}
    assert http.auth.basic is not None
    pair = f"{context.render(http.auth.basic.user)}:{context.render(http.auth.basic.password)}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}


def _exchange(
    context: PhaseContext, http: HttpRequest, request: _Request, resolve: Resolve, cutter: Cutter
) -> Answer:
    """Send, follow redirects, and read what comes at the end of them."""
    import requests

    private = context.settings.http_private
    because = "WINDLASS_HTTP_PRIVATE allows http phases to call such addresses"
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(_REDIRECTS_MAX + 1):
            context.stop.check()
            addresses = allowed_addresses(request.url, resolve=resolve, private=private, because=because)
            adapter = pinned_adapter(addresses, cutter)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            response = _send(context, http, request, session)
            with response:
                if not _is_redirect(http, response):
                    return _answer(context, http, request, response, cutter)
                request = _redirected(request, response)
            private = context.settings.http_private and http.allow_private
            because = "redirects may lead there only with `allow_private: true`"
    raise PhaseError(f"{request.shown}: more than {_REDIRECTS_MAX} redirects", kind="http", retryable=False)


def _send(
    context: PhaseContext, http: HttpRequest, request: _Request, session: "requests.Session"
) -> "requests.Response":
    import requests

    left_s = context.left_s
    read_s = http.timeout_s if left_s is None else max(0.01, min(http.timeout_s, left_s))
    try:
        prepared = session.prepare_request(
            requests.Request(
                request.method, request.url, headers=request.headers, params=request.params, data=request.body
            )
        )
        return session.send(
            prepared, stream=True, allow_redirects=False, timeout=(min(_CONNECT_S, read_s), read_s)
        )
    except (requests.RequestException, OSError, ValueError) as error:
        raise _transport_error(context, request, error) from None


def _is_redirect(http: HttpRequest, response: "requests.Response") -> bool:
    return (
        response.status_code in _REDIRECTS
        and http.allow_redirects
        and response.status_code not in http.expect
        and bool(response.headers.get("location"))
    )


def _redirected(request: _Request, response: "requests.Response") -> _Request:
    """The request that a redirect asks for."""
    base = response.url or request.url
    url = urljoin(base, response.headers["location"])
    changed = replace(request, url=url, params={})
    becomes_get = response.status_code == 303 or (
        response.status_code in (301, 302) and request.method == "POST"
    )
    if becomes_get and request.method != "HEAD":
        headers = {name: each for name, each in request.headers.items() if name.lower() != "content-type"}
        changed = replace(changed, method="GET", body=None, headers=headers)
    if _origin(base) != _origin(url):
        kept = {name: each for name, each in changed.headers.items() if name.lower() in _OPEN_HEADERS}
        changed = replace(changed, headers=kept)
    return changed


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return parts.scheme, parts.hostname or "", port
    except ValueError:
        return "", url, 0


def _answer(
    context: PhaseContext,
    http: HttpRequest,
    request: _Request,
    response: "requests.Response",
    cutter: Cutter,
) -> Answer:
    import requests
    from urllib3.exceptions import HTTPError

    limit = min(http.max_bytes, context.settings.output_mb << 20)
    try:
        answer = read_answer(
            response, form=http.response, bytes_max=limit, shown=request.shown, check=context.stop.check
        )
    except (requests.RequestException, HTTPError, OSError) as error:
        raise _transport_error(context, request, error) from None
    if cutter.has_cut:
        raise _transport_error(context, request, TimeoutError())
    expected = http.expect or range(200, 300)
    if answer.status in expected:
        return answer
    passes = answer.status in _PASSING or answer.status >= 500
    raise PhaseError(
        f"{request.shown} answered {answer.status} {response.reason or ''}".rstrip(),
        kind="http",
        detail=answer.beginning(),
        hint="" if http.expect else "statuses that are a success for you go into `expect`",
        retryable=passes,
        retry_after_s=answer.retry_after_s() if passes else None,
    )


def _transport_error(context: PhaseContext, request: _Request, error: Exception) -> Exception:
    """What went wrong on the way, in words; a stop that cut the connection is raised instead."""
    import requests

    context.stop.check()
    if context.deadline_s is not None and boot_s() >= context.deadline_s:
        return PhaseError(f"{request.shown}: no answer within the phase's timeout", kind="timeout")
    if isinstance(error, requests.exceptions.SSLError):
        return PhaseError(
            f"{request.shown}: the connection is not safe: {_root(error)}", kind="http", retryable=False
        )
    if isinstance(error, requests.Timeout):
        return PhaseError(
            f"{request.shown}: no answer in time", kind="http", hint="`timeout` under `http` gives it longer"
        )
    if isinstance(error, requests.ConnectionError | OSError) and not isinstance(error, ValueError):
        return PhaseError(f"{request.shown}: the connection failed: {_root(error)}", kind="http")
    return PhaseError(f"{request.shown}: {error}", kind="http", retryable=False)


def _root(error: BaseException) -> str:
    """The innermost cause in words; `requests` wraps it three times."""
    for _ in range(8):
        inner = getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(inner, BaseException):
            break
        error = inner
    return str(error) or type(error).__name__


def _json_bytes(value: Any) -> bytes:
    import json

    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise PhaseError(f"the request's `json` is not JSON: {error}", kind="http", retryable=False) from None


def _param(value: Any) -> Any:
    if isinstance(value, list):
        return [as_text(each) for each in value]
    return as_text(value)
