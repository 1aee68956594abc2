"""What an error of the store means: who must act, and whether the statement's fate is known."""

import re

from windlass.errors import AccessDenied, AuthorError, OperatorError, StoreUnavailable, WindlassError

TIMEOUT_EXCEEDED = 159
# Codes that say nothing about the statement's fate, or that pass by themselves: the server is
# starting, overloaded, without its keeper, or cut off from replicas. All other codes are refusals.
_PASSING = frozenset(
    {
        TIMEOUT_EXCEEDED,
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED: the server is shutting down
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY: a replica that lost its keeper
        252,  # TOO_MANY_PARTS: merges are behind
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        289,  # REPLICA_IS_NOT_IN_QUORUM
        319,  # UNKNOWN_STATUS_OF_INSERT
        364,  # IP_ADDRESS_NOT_ALLOWED by a balancer that is starting
        394,  # QUERY_WAS_CANCELLED
        415,  # ALL_REPLICAS_LOST
        999,  # KEEPER_EXCEPTION
    }
)
_CREDENTIALS = frozenset({192, 193, 194, 497, 516})
_NO_SPACE = 243
UNKNOWN_DATABASE = 81
UNKNOWN_TABLE = 60
READONLY = 164
# A server's text can be long; what is wrong stands in its beginning.
_MESSAGE_CHARS_MAX = 600
# The request's own URL, which urllib3 puts into its errors: a line of settings that says nothing.
_URL = re.compile(r" with url: \S+")
# What the system said of a connection, at the core of what urllib3 wraps around it.
_SYSTEM_SAID = re.compile(r"\[Errno -?\d+\] ([^'\")>]+)")


class StatementRefused(OperatorError):
    """The store understood the statement and will never carry it out; nothing of it happened.

    Attributes:
        code: ClickHouse's number for the reason, 0 where it gave none.
    """

    def __init__(self, message: str, *, code: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class QueryRejected(AuthorError):
    """A query that a person typed is wrong, or does more than read."""


def explain(error: Exception, *, where: str) -> WindlassError:
    """The Windlass error that an error of clickhouse-connect or the engine amounts to.

    Args:
        error: what the client raised.
        where: the store's address, without a password.
    """
    from clickhouse_connect.driver.exceptions import OperationalError

    code = int(getattr(error, "code", None) or 0)
    text = _first_lines(str(error))
    if "No space left on device" in text or code == _NO_SPACE:
        return OperatorError(
            f"the disk of the store at {where} is full", hint="free some space and start again"
        )
    if code in _CREDENTIALS:
        return AccessDenied(
            f"the store at {where} does not let us in: {text}",
            hint="check the user and password in WINDLASS_CLICKHOUSE_URL and what that user is granted",
        )
    if code in _PASSING or (code == 0 and _is_transport(error, OperationalError)):
        said = _SYSTEM_SAID.findall(text)
        text = said[-1].strip().lower() if said else text
        return StoreUnavailable(
            f"the store at {where} does not answer: {text}", hint="is it running, and reachable?"
        )
    return StatementRefused(f"the store at {where} refused a statement: {text}", code=code)


def _is_transport(error: Exception, operational: type[Exception]) -> bool:
    """Did the request, and not the statement, fail? A balancer's 502 has no ClickHouse code either."""
    text = str(error)
    return isinstance(error, operational | OSError) or "HTTP status 5" in text or "HTTP status 429" in text


def _first_lines(text: str) -> str:
    text = _URL.sub("", " ".join(text.split()))
    return text if len(text) <= _MESSAGE_CHARS_MAX else text[:_MESSAGE_CHARS_MAX] + " …"
