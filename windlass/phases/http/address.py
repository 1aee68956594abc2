"""Where a request may go: which addresses a URL's host has, and whether they are allowed.

A name is resolved once, here. `windlass.phases.http.connection` connects to exactly the addresses
that were found and allowed, so that a name server that answers differently the second time, or a URL
that two parsers read differently, changes nothing.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

from windlass.phases.failure import PhaseError

# (host, port) → addresses, in the order in which they are to be tried.
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]

# Addresses of one name that are tried; a broken name server must not make a list without end.
_ADDRESSES_MAX = 8


def resolve_host(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the machine's resolver gives them.

    Raises:
        PhaseError: the name has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PhaseError(f"the host {host!r} was not found: {error}", kind="http") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))[:_ADDRESSES_MAX]


def allowed_addresses(url: str, *, resolve: Resolve, private: bool, because: str) -> list[str]:
    """The addresses of the URL's host, if the request may go there.

    Args:
        url: an http or https URL.
        resolve: gives a host's addresses.
        private: may it be an address of this machine or its network?
        because: why private addresses are refused, for the message.

    Raises:
        PhaseError: it is no such URL, has no address, or one that is not allowed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise PhaseError(f"{url!r} is not a URL: {error}", kind="http", retryable=False) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PhaseError(
            f"{url!r} is not an http or https URL",
            kind="http",
            hint="write https://host/path",
            retryable=False,
        )
    addresses = list(resolve(parts.hostname, port))
    if not private:
        for address in addresses:
            if not is_public(address):
                raise PhaseError(
                    f"{parts.hostname} is at {address}, a private address; {because}",
                    kind="http",
                    retryable=False,
                )
    return addresses


def is_public(address: str) -> bool:
    """Is it an address of the open internet, also behind the forms that carry IPv4 inside IPv6?"""
    try:
        found = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return found.is_global and not found.is_multicast
