"""How the store is reached right now: our own engine, another process's, or a server.

    chdb://folder ──lock free──▶ HOLDER: our engine, and an endpoint for other commands
                  ──lock held──▶ GUEST:  the holder's endpoint ──it went away──▶ asked again: HOLDER or GUEST
    http(s)://…  ───────────────▶ SERVER: always the same address

Failure: a guest that lost its holder asks again; whoever takes the lock first becomes the holder and
the others find it. Statements that were under way have an unknown fate, as with any lost connection.
"""

import threading

from windlass.errors import StoreUnavailable
from windlass.store.address import Address, parse_address
from windlass.store.connect import Pool
from windlass.store.endpoint import Endpoint
from windlass.store.folder import FolderLock

# Rounds of "lock held, but its holder was gone when we looked" before giving up for this call.
_ROUNDS_MAX = 5


class Reach:
    """Decides where statements go. Any thread may use it; `close` ends what it started."""

    def __init__(self, address: Address, *, replicated: bool = False) -> None:
        self._address = address
        self._replicated = replicated
        self._folder = FolderLock(address.folder) if address.is_embedded else None
        self._endpoint: Endpoint | None = None
        self._lock = threading.Lock()
        self._pool: Pool | None = None
        self._retired: list[Pool] = []
        self._target = address
        self._closed = False

    @property
    def target(self) -> Address:
        """Where statements go: the folder itself, its holder's endpoint, or the server."""
        return self._target

    @property
    def is_holder(self) -> bool:
        """True when this process holds the embedded folder, which proves earlier holders dead."""
        return self._folder is not None and self._folder.is_held

    @property
    def endpoint_url(self) -> str:
        """The URL, password included, under which other processes reach the folder held here; else ""."""
        return self._endpoint.address.url if self._endpoint else ""

    def pool(self) -> Pool:
        """The pool to use for the next statement.

        Raises:
            StoreUnavailable: the folder's holder cannot be found just now.
            OperatorError: the folder cannot be used.
        """
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._pool is None:
                self._pool = self._resolve()
            return self._pool

    def lost(self, pool: Pool) -> None:
        """Say that `pool` does not answer; for a guest, the holder is looked for anew."""
        if self._address.is_embedded and not self.is_holder:
            with self._lock:
                if self._pool is pool:
                    self._pool = None
                    self._retired.append(pool)

    def use_quorum(self) -> None:
        """The tables turned out to be replicated: every client made from now on waits for the quorum."""
        with self._lock:
            self._replicated = True
            if self._pool is not None:
                self._retired.append(self._pool)
                self._pool = None

    def close(self) -> None:
        """Close the endpoint, the clients and the lock, in this order. Idempotent."""
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None
        with self._lock:
            self._closed = True
            pools = [*self._retired, *([self._pool] if self._pool else [])]
            self._retired, self._pool = [], None
        for pool in pools:
            pool.close()
        if self._folder is not None:
            self._folder.release()

    def _resolve(self) -> Pool:
        if self._folder is None:
            self._target = self._address
            return self._new_pool()
        for _ in range(_ROUNDS_MAX):
            if self._folder.is_held or self._folder.take():
                return self._hold(self._folder)
            url = self._folder.holder_url()
            if url:
                self._target = parse_address(url, database=self._address.database)
                return self._new_pool()
        raise StoreUnavailable(f"{self._address.safe} changes hands too fast to be reached")

    def _hold(self, folder: FolderLock) -> Pool:
        self._target = self._address
        pool = self._new_pool()
        if self._endpoint is None:
            try:
                with pool.client():
                    pass  # Starts the engine here, where its failure still frees the folder.
                self._endpoint = Endpoint(folder=self._address.folder)
                self._endpoint.start()
            except BaseException:
                pool.close()
                folder.release()
                raise
            folder.announce(self._endpoint.address.url)
        return pool

    def _new_pool(self) -> Pool:
        return Pool(self._target, database=self._address.database, replicated=self._replicated)
