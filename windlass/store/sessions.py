"""Sessions as they were asked for, and a list of them."""

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from windlass.errors import AuthorError, StoreUnavailable
from windlass.records import RowKind, Session, Status
from windlass.store.database import Database
from windlass.store.queries import load_queries
from windlass.store.rows import Row, from_payload, moment, payload
from windlass.store.writer import Writer

# Sessions a page may have, and how many are looked at when a page is filtered by status.
PAGE_MAX = 1_000
_SCAN_FACTOR = 10
# A cursor later than every session's.
_NEWEST = "2299-01-01 00:00:00.000000|"
# Tokens that a crash burnt, one after the other, before we give up. One was seen in 2,966 crashes.
_ATTEMPTS_MAX = 8


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a list of sessions.

    Attributes:
        phase: the phase that its newest row is about, "" when there is none.
        phases: how many phases ended.
        changed_at: when its newest row was written; None before the first.
    """

    session_id: str
    cascade_id: str
    status: Status
    parent_session_id: str
    phase: str
    phases: int
    created_at: datetime
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some sessions, newest first.

    Attributes:
        next_cursor: give it to `list` for the page after this one; "" at the end.
    """

    items: Sequence[Listed]
    next_cursor: str


class Sessions:
    """The table `sessions`."""

    def __init__(self, database: Database, *, writer: Writer) -> None:
        self._database = database
        self._writer = writer
        self._sql = load_queries("sessions")

    def submit(self, session: Session) -> "Future[None]":
        """Queue a session whose id this process made; the future is done when it is kept.

        Nobody else can know the id yet, so this needs no compare-and-set and goes with others in one insert.
        """
        return self._writer.append("sessions", [_row(session, submission_id="")])

    def submit_once(self, session: Session) -> Session:
        """Submit a session under an id or idempotency key that a client chose.

        The key decides when there is one, else the id. Of all who submit under it one stands.

        Returns:
            The session that stands: this one, or whoever was first.

        Raises:
            StoreUnavailable: not acknowledged; call again with the same session.
        """
        submission_id = uuid.uuid4().hex
        key = f"key:{session.idempotency_key}" if session.idempotency_key else f"id:{session.session_id}"
        row = _row(session, submission_id=submission_id)
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            self._database.insert("sessions", [row], token=f"session:{attempt}:{key}")
            standing = self._standing(session)
            if standing is not None:
                return standing
        raise StoreUnavailable(
            f"the store acknowledged session {session.session_id} {_ATTEMPTS_MAX} times and has it not"
        )

    def get(self, session_id: str) -> Session | None:
        """The session with this id, or None."""
        return self._one("get", {"session_id": session_id})

    def by_key(self, key: str) -> Session | None:
        """The session that stands under this idempotency key, or None."""
        return self._one("by_key", {"key": key}) if key else None

    def list(
        self, *, limit: int = 50, cursor: str = "", status: Status | None = None, cascade_id: str = ""
    ) -> Page:
        """A page of sessions, newest first, with the status each had when its newest row was written.

        Args:
            limit: at most this many, `PAGE_MAX` at most.
            cursor: `next_cursor` of the page before.
            status: only sessions with this one; the page may then be short while `next_cursor` goes on.
            cascade_id: only this cascade's.

        Raises:
            AuthorError: the cursor is none of ours.
        """
        limit = min(limit, PAGE_MAX)
        before, _, before_id = (cursor or _NEWEST).partition("|")
        if not _is_moment(before):
            raise AuthorError(f"{cursor!r} is no cursor", hint="use next_cursor of the page before")
        scan = limit * _SCAN_FACTOR if status else limit
        rows = self._database.query(
            self._sql["page"],
            {"cascade_id": cascade_id, "before": before, "before_id": before_id, "scan": scan},
        )
        items: list[Listed] = []
        last: Mapping[str, Any] | None = None
        for row in rows:
            if len(items) == limit:
                break
            last = row
            listed = _listed(row)
            if status is None or listed.status is status:
                items.append(listed)
        is_more = last is not None and (len(rows) == scan or last is not rows[-1])
        return Page(items, f"{last['created_at']}|{last['session_id']}" if last and is_more else "")

    def _standing(self, session: Session) -> Session | None:
        return (
            self.by_key(session.idempotency_key) if session.idempotency_key else self.get(session.session_id)
        )

    def _one(self, name: str, params: Mapping[str, str]) -> Session | None:
        rows = self._database.query(self._sql[name], params)
        return _session(rows[0]) if rows else None


def _row(session: Session, *, submission_id: str) -> Row:
    row = {
        "session_id": session.session_id,
        "cascade_id": session.cascade_id,
        "bundle": session.bundle,
        "input": payload(session.input),
        "grants": list(session.grants),
        "priority": session.priority,
        "tags": list(session.tags),
        "parent_session_id": session.parent_session_id,
        "parent_phase": session.parent_phase,
        "depth": session.depth,
        "idempotency_key": session.idempotency_key,
        "requested_by": session.requested_by,
        "worker_id": session.worker_id,
        "submission_id": submission_id,
    }
    return row | ({"created_at": session.created_at} if session.created_at else {})


def _session(row: Mapping[str, Any]) -> Session:
    plain = {name: row[name] for name in row if name not in ("input", "submission_id", "created_at")}
    return Session(**plain, input=from_payload(row["input"]), created_at=moment(row["created_at"]))


def _listed(row: Mapping[str, Any]) -> Listed:
    return Listed(
        session_id=row["session_id"],
        cascade_id=row["cascade_id"],
        status=_status(row),
        parent_session_id=row["parent_session_id"],
        phase=row["phase"],
        phases=row["phases"],
        created_at=moment(row["created_at"]),
        changed_at=moment(row["changed_at"]) if row["kind"] else None,
    )


def _status(row: Mapping[str, Any]) -> Status:
    match row["kind"]:
        case RowKind.END:
            return Status(row["end_status"]) if row["end_status"] in set(Status) else Status.COMPLETED
        case RowKind.SUSPEND:
            return Status.WAITING
        case RowKind.RELEASE:
            return Status.QUEUED
        case "":
            return Status.RUNNING if row["worker_id"] or row["claimed_epoch"] else Status.QUEUED
        case _:
            return Status.RUNNING


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
