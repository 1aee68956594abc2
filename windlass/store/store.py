"""The store: one object with everything the engine remembers, opened once per process."""

import atexit
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from windlass.config import Settings
from windlass.errors import NotFound, StoreUnavailable
from windlass.records import Checkpoint, Claim, Session
from windlass.store.address import parse_address
from windlass.store.artifacts import Artifacts
from windlass.store.bundles import Bundles
from windlass.store.checkpoints import Checkpoints
from windlass.store.claims import Claims
from windlass.store.database import Database
from windlass.store.logs import Logs
from windlass.store.migrate import Migrator, Wanted
from windlass.store.reach import Reach
from windlass.store.read_only import Answer, read_only
from windlass.store.sessions import Sessions
from windlass.store.signals import Signals
from windlass.store.workers import Workers
from windlass.store.writer import CLOSE_S_MAX, Writer

# How long closing waits after an error that says that the store does not answer: for a last try.
_GIVEN_UP_S = 2.0


# How long a store that does not answer is asked when it is opened. Nothing has begun yet, so that an error
# now is kinder than patience; a server that is just starting is asked several times meanwhile.
OPEN_PATIENCE_S = 4.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One session as it stands, read so that it may be told.

    Attributes:
        rows: its checkpoints, read before `claims`, whether they count or not.
        claims: the claims that hold, lowest epoch first.
    """

    session: Session
    rows: list[Checkpoint]
    claims: list[Claim]

    @property
    def highest_claim(self) -> int:
        """The highest epoch claimed, 0 when there is none."""
        return self.claims[-1].epoch if self.claims else 0


class Store:
    """Everything the engine remembers. Any thread may use it; `close` ends its threads and clients.

    Attributes:
        sessions, claims, checkpoints, logs, bundles, artifacts, workers, signals: one repository each.
    """

    def __init__(self, *, database: Database, writer_rows_max: int, applied: list[str]) -> None:
        self._database = database
        self._writer = Writer(database, rows_max=writer_rows_max)
        self._applied = applied
        self.sessions = Sessions(database, writer=self._writer)
        self.claims = Claims(database)
        self.checkpoints = Checkpoints(database, writer=self._writer)
        self.logs = Logs(database, writer=self._writer)
        self.bundles = Bundles(database)
        self.artifacts = Artifacts(database)
        self.workers = Workers(database)
        self.signals = Signals(database)

    @property
    def is_embedded(self) -> bool:
        """True when this process holds the folder; its earlier holders are then dead for certain."""
        return self._database.reach.is_holder

    @property
    def holder_url(self) -> str:
        """The URL, password included, by which other processes reach the folder held here; else ""."""
        return self._database.reach.endpoint_url

    @property
    def applied(self) -> list[str]:
        """What opening the store changed in the schema: ["ddl 0001", "view failures"]; usually nothing."""
        return list(self._applied)

    def snapshot(self, session_id: str) -> Snapshot | None:
        """A session with its rows and claims, the rows read first; None when there is no such session."""
        session = self.sessions.get(session_id)
        if session is None:
            return None
        rows = self.checkpoints.read(session_id)
        return Snapshot(session=session, rows=rows, claims=self.claims.read(session_id))

    def existing(self, session_id: str) -> Snapshot:
        """The snapshot of a session that somebody named.

        Raises:
            NotFound: there is no such session.
        """
        snapshot = self.snapshot(session_id)
        if snapshot is None:
            raise NotFound(
                f"there is no session {session_id}", hint="windlass sessions list shows those that exist"
            )
        return snapshot

    def read_only(self, sql: str, *, limit_rows: int = 0, limit_s: float = 0.0) -> Answer:
        """Run a query that a person typed, in a way that cannot change anything.

        Args:
            sql: one SELECT, SHOW, DESCRIBE, EXISTS or EXPLAIN.
            limit_rows: how many rows to give at most; 0 is all.
            limit_s: how long it may run; 0 is as long as the store allows.

        Raises:
            QueryRejected: it is wrong, or does more than read the store's tables.
            StoreUnavailable: the store did not answer.
        """
        return read_only(self._database, sql, limit_rows=limit_rows, limit_s=limit_s)

    def flush(self, *, limit_s: float = CLOSE_S_MAX) -> bool:
        """Wait until all that was appended so far is kept; False when `limit_s` was too short."""
        return self._writer.flush(limit_s=limit_s)

    def describe(self) -> dict[str, Any]:
        """Facts for `windlass doctor`: where it is, how it is reached, its version and its tables' sizes."""
        version = self._database.query("SELECT version() AS version")[0]["version"]
        tables = self._database.query(
            "SELECT name, ifNull(total_rows, 0) AS rows, ifNull(total_bytes, 0) AS bytes FROM system.tables"
            " WHERE database = {database:String} AND engine LIKE '%MergeTree' ORDER BY name",
            {"database": self._database.name},
        )
        return {
            "address": self._database.reach.target.safe,
            "database": self._database.name,
            "is_embedded": self.is_embedded,
            "version": version,
            "tables": {row["name"]: {"rows": row["rows"], "bytes": row["bytes"]} for row in tables},
        }

    def close(self, *, limit_s: float = CLOSE_S_MAX) -> bool:
        """Write what is queued (`limit_s` at most), then let go of everything. False when rows were left."""
        atexit.unregister(self.close)
        is_empty = self._writer.close(limit_s=limit_s)
        self._database.reach.close()
        return is_empty

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Who has given up on the store has waited for it already.
        self.close(limit_s=_GIVEN_UP_S if isinstance(error, StoreUnavailable) else CLOSE_S_MAX)


def open_store(settings: Settings) -> Store:
    """Reach the store that the settings name, bring its tables up to date and give it.

    Raises:
        OperatorError: the URL, the credentials, the folder or the tables are wrong.
        StoreUnavailable: nobody answers there.
    """
    address = parse_address(settings.store_url, database=settings.clickhouse_database)
    reach = Reach(address, replicated=bool(settings.clickhouse_cluster))
    try:
        database = Database(reach, name=address.database)
        first = Database(reach, name=address.database, patience_s=OPEN_PATIENCE_S)
        wanted = Wanted(
            cluster=settings.clickhouse_cluster, fsync=settings.fsync, retention_days=settings.retention_days
        )
        applied = Migrator(first, wanted=wanted).migrate()
    except BaseException:
        reach.close()
        raise
    store = Store(database=database, writer_rows_max=settings.writer_rows_max, applied=applied)
    # A process that ends without `close` would lose what is queued, and the engine crashes when threads
    # still use it while the interpreter goes down.
    atexit.register(store.close)
    return store
