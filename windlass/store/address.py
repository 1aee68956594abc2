"""Where the store is: the URL, read once and checked, with its password kept out of messages."""

from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

from windlass.errors import OperatorError

# What servers listen on for ClickHouse's native protocol, which clickhouse-connect does not speak.
_NATIVE_PORTS = {9000: 8123, 9440: 8443}
_DEFAULT_PORTS = {"http": 8123, "https": 8443}


@dataclass(frozen=True, slots=True)
class Address:
    """One place a store can be: a folder on this machine, or a server.

    Attributes:
        folder: the embedded engine's folder, "" for a server.
        host, port, user, password, secure: of a server.
        database: the database that holds the tables.
    """

    database: str
    folder: str = ""
    host: str = ""
    port: int = 0
    user: str = "default"
    password: str = ""
    secure: bool = False

    @property
    def is_embedded(self) -> bool:
        """True when this is a folder and the engine runs in one of this machine's processes."""
        return bool(self.folder)

    @property
    def safe(self) -> str:
        """The address for people: no password in it."""
        if self.folder:
            return f"chdb://{self.folder}"
        return f"{self._scheme}://{quote(self.user, safe='')}@{self._place}/{self.database}"

    @property
    def url(self) -> str:
        """The whole address, password included: for the holder's file only, never for a message."""
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"{self._scheme}://{who}@{self._place}/{self.database}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self._scheme}://{self._place}"

    @property
    def shown(self) -> str:
        """The whole address for people who know the password: dots in its place."""
        dots = "…" if self.password else ""
        return f"{self._scheme}://{quote(self.user, safe='')}:{dots}@{self._place}/{self.database}"

    @property
    def _scheme(self) -> str:
        return "https" if self.secure else "http"

    @property
    def _place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(url: str, *, database: str) -> Address:
    """The address that `url` means.

    Args:
        url: `chdb:///absolute/folder` or `http(s)://user:password@host:8123/database`.
        database: the database to use where the URL names none.

    Raises:
        OperatorError: the URL is none of these, or names a port of the native protocol.
    """
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        return _folder(url, database=database)
    if parts.scheme not in _DEFAULT_PORTS:
        raise OperatorError(
            f"WINDLASS_CLICKHOUSE_URL starts with {parts.scheme!r}, which is no way to reach a store",
            hint="use chdb:///folder for the embedded engine, or http://user:password@host:8123/database",
        )
    try:
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except ValueError:
        raise OperatorError("the port in WINDLASS_CLICKHOUSE_URL is not a number from 1 to 65535") from None
    if not parts.hostname:
        raise OperatorError(
            "WINDLASS_CLICKHOUSE_URL names no host", hint="http://user:password@host:8123/database"
        )
    if port in _NATIVE_PORTS:
        raise OperatorError(
            f"port {port} of {parts.hostname} is ClickHouse's native protocol, and Windlass speaks HTTP",
            hint=f"use the server's HTTP port instead, usually {_NATIVE_PORTS[port]}",
        )
    return Address(
        database=unquote(parts.path.strip("/")) or database,
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        secure=parts.scheme == "https",
    )


def _folder(url: str, *, database: str) -> Address:
    """The embedded address: everything after `chdb://` up to a question mark is the path."""
    path, _, query = url.removeprefix("chdb://").partition("?")
    path = unquote(path)
    if not path.startswith("/"):
        raise OperatorError(
            f"the folder in {url} is not absolute, so it would depend on where a command is started",
            hint=f"write chdb:///{path.lstrip('./')} with the whole path",
        )
    named = parse_qs(query).get("database", [database])
    return Address(database=named[0], folder=path.rstrip("/") or "/")
