"""A worker inside one command: it submits sessions and runs them in the calling thread.

It takes the same roads as a fleet's worker: a claim by compare-and-set, a takeover row, rows with
an epoch and a seq. What it lacks is a heartbeat: its proof of life is a file lock (see
`windlass.worker.lock`), which any other command on this machine can test.

            submit                         run
    (file) ───────> sessions row ──────────────────> judge ── over ──> report
                    (own id: claims epoch 1)           │
                                                       ├─ owned by a living worker ──> Busy
                                                       v
                                    claim the next epoch ──> takeover row ──> SessionRunner

Failure: killed at any point, the lock is free as soon as its last descendant is reaped; the next
`run --session` writes the obituary, claims the next epoch and goes on from the last row.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from windlass.clock import now
from windlass.config import Settings
from windlass.errors import NotFound, OperatorError
from windlass.model import Bundle, Cascade, load_cascade, make_bundle, unpack_bundle
from windlass.phases import Stop
from windlass.protocol import History, read_history
from windlass.records import Json, LogLine, Session
from windlass.runner import Position, SessionRunner, base_before, base_for_retry, session_report
from windlass.store import Held, Lost, Snapshot, Store
from windlass.worker.footing import Footing
from windlass.worker.ids import new_session_id
from windlass.worker.inputs import checked_input
from windlass.worker.lock import forget, is_proven_dead
from windlass.worker.parts import Adoption, PartsMaker


# A burnt epoch is what a crash of the store leaves; several in a row mean that something else is wrong.
BURNT_MAX = 10


class Busy(OperatorError):
    """Another living worker runs the session."""


class LocalWorker:
    """Submits and runs sessions in this process. A context manager.

    Args:
        footing: this worker's id, lock and zygote, entered; it outlives the worker.
        watch: takes every log line of the sessions it runs, in their own thread.
        stop: set it to have the running session released (or cancelled) soon.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        footing: Footing,
        watch: Callable[[LogLine], None] | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.worker_id = footing.worker_id
        self.stop = stop or Stop()
        self._settings = settings
        self._store = store
        self._zygote = footing.zygote
        self._entries: dict[str, Path] = {}
        self._parts = PartsMaker(
            settings=settings,
            store=store,
            zygote=footing.zygote,
            worker_id=self.worker_id,
            watch=watch,
            stop=self.stop,
            run_session=self._run_sub_session,
        )

    def __enter__(self) -> Self:
        self._store.workers.started(self.worker_id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zygote.close()
        self._store.workers.stopped(self.worker_id)
        self._store.flush()

    def submit(
        self,
        cascade: Cascade,
        given: Mapping[str, Json],
        *,
        session_id: str = "",
        grants: Sequence[str] = (),
        requested_by: str = "",
        tags: Sequence[str] = (),
        parent: tuple[str, str, int] = ("", "", 0),
    ) -> Session:
        """Record a new session of `cascade`, durable when this returns.

        Args:
            session_id: an id the caller chose; by default a new one, claimed by this worker.
            grants: absolute paths that its SQL may read.
            tags: added to the cascade's own.
            parent: (session, phase, depth) of the phase that runs it, for sub-cascades.

        Returns:
            The session that stands: with a chosen id, the one that was there first.

        Raises:
            InputError: `given` breaks the cascade's schema.
        """
        value = checked_input(cascade, given)
        bundle = make_bundle(cascade)
        self._store.bundles.put(
            bundle.hash, cascade_id=cascade.cascade_id, entry=bundle.entry, data=bundle.to_bytes()
        )
        self._unpack(bundle)
        session = Session(
            session_id=session_id or new_session_id(),
            cascade_id=cascade.cascade_id,
            bundle=bundle.hash,
            input=value,
            grants=tuple(grants),
            priority=cascade.priority,
            tags=tuple(dict.fromkeys((*cascade.tags, *tags))),
            parent_session_id=parent[0],
            parent_phase=parent[1],
            depth=parent[2],
            requested_by=requested_by,
            worker_id="" if session_id else self.worker_id,
            created_at=now(),
        )
        if session_id:
            return self._store.sessions.submit_once(session)
        self._store.sessions.submit(session).result()
        return session

    def run(self, session_id: str, *, restart_at: str = "") -> dict[str, Json]:
        """Run a session to its end, from where it stands; one that failed goes on from its failure.

        Args:
            restart_at: run again from the last visit of this phase, whatever came after it.

        Returns:
            The session's report (see `windlass.runner.session_report`).

        Raises:
            NotFound: no such session, or it never ran `restart_at`.
            Busy: a living worker has it.
        """
        session, position, epoch = self._run(session_id, restart_at=restart_at)
        return session_report(session, position, epoch=epoch, worker_id=self.worker_id)

    def _run(self, session_id: str, *, restart_at: str = "") -> tuple[Session, Position, int]:
        snapshot = self._store.snapshot(session_id)
        if snapshot is None:
            raise NotFound(
                f"there is no session {session_id}", hint="windlass sessions list shows those that exist"
            )
        history = read_history(snapshot.rows)
        cascade = self._unpacked(snapshot.session)
        adoption = self._adopt(snapshot, history, restart_at=restart_at)
        if adoption is None:
            position = self._parts.position(snapshot.session, cascade, history.rows)
            return snapshot.session, position, history.epoch
        if adoption.claimed:
            # Rows may have come between the judgement and the claim: adopt from what is there now.
            adoption = self._refreshed(session_id, adoption, restart_at=restart_at)
        with self._parts.make(snapshot.session, cascade, adoption) as (parts, position):
            final = SessionRunner(parts, position).run()
        if not cascade.keep_scratch:
            shutil.rmtree(self._settings.home / "session_dbs" / session_id, ignore_errors=True)
        return snapshot.session, final, adoption.epoch

    def _adopt(self, snapshot: Snapshot, history: History, *, restart_at: str) -> Adoption | None:
        """Claim the session if it may be run; None when it is over and stays so."""
        session = snapshot.session
        highest = max((claim.epoch for claim in snapshot.claims), default=0)
        if highest == 1 and session.worker_id == self.worker_id and history.epoch == 0:
            return Adoption(epoch=1, base=(0, 0), rows=(), reason="submitted", claimed=False)
        base, reason = _base(history, restart_at=restart_at)
        if base is None:
            return None
        if highest and not (history.is_settled(highest) and _is_free(history)):
            self._make_sure_of_death(snapshot, highest)
        held = self._claim(session.session_id, highest + 1)
        return Adoption(epoch=held.epoch, base=base, rows=(), reason=reason, claimed=True)

    def _refreshed(self, session_id: str, adoption: Adoption, *, restart_at: str) -> Adoption:
        snapshot = self._store.snapshot(session_id)
        assert snapshot is not None  # it was there before the claim, and rows never go
        history = read_history(snapshot.rows)
        base, reason = _base(history, restart_at=restart_at)
        if base is None:
            base = adoption.base
        rows = read_history([*snapshot.rows, adoption.marker(session_id, base)]).rows
        return Adoption(epoch=adoption.epoch, base=base, rows=rows, reason=reason, claimed=True)

    def _claim(self, session_id: str, epoch: int) -> Held:
        for candidate in range(epoch, epoch + BURNT_MAX):
            result = self._store.claims.claim(session_id, candidate, self.worker_id)
            if isinstance(result, Held):
                return result
            if isinstance(result, Lost):
                break
        raise Busy(f"session {session_id} was claimed by another worker at the same moment")

    def _make_sure_of_death(self, snapshot: Snapshot, highest: int) -> None:
        """Prove that the owner of the highest epoch is dead and record it, or refuse."""
        owner = next(claim.worker_id for claim in snapshot.claims if claim.epoch == highest)
        if owner == self.worker_id or owner in self._store.workers.dead_ids([owner]):
            return
        if is_proven_dead(self._settings.home, owner):
            self._store.workers.obituary(owner, "its lock was free: the process and its descendants are gone")
            forget(self._settings.home, owner)
            return
        raise Busy(
            f"session {snapshot.session.session_id} is being run by worker {owner}",
            hint="watch it with windlass logs -f; it can be taken over once that worker has ended",
        )

    def _unpacked(self, session: Session) -> Cascade:
        """The cascade the session started with, from the store's bundle."""
        entry = self._entries.get(session.bundle)
        if entry is None:
            data = self._store.bundles.get(session.bundle)
            if data is None:
                raise OperatorError(
                    f"the store has lost bundle {session.bundle} of session {session.session_id}"
                )
            entry = self._unpack(Bundle.from_bytes(data))
        return load_cascade(entry, search=self._parts.search)

    def _unpack(self, bundle: Bundle) -> Path:
        """Put the bundle's files on this machine, unless they are there; returns the cascade's own file."""
        entry = unpack_bundle(bundle, self._settings.home / "bundles" / bundle.hash)
        self._entries[bundle.hash] = entry
        return entry

    def _run_sub_session(self, cascade: Cascade, session: Session) -> Position:
        """Run a sub-cascade's session (made if it is new) to its end."""
        self.submit(
            cascade,
            session.input,
            session_id=session.session_id,
            grants=session.grants,
            requested_by=session.requested_by,
            tags=session.tags,
            parent=(session.parent_session_id, session.parent_phase, session.depth),
        )
        return self._run(session.session_id)[1]


def _base(history: History, *, restart_at: str) -> tuple[tuple[int, int] | None, str]:
    """Which rows the next owner keeps, and why it takes over; no base where nothing is to be done."""
    if restart_at:
        base = base_before(history, restart_at)
        if base is None:
            raise NotFound(
                f"the session has not run a phase {restart_at!r}",
                hint="windlass sessions show ID lists its phases",
            )
        return base, f"resume-from {restart_at}"
    if history.end is None:
        return history.tip, "resumed"
    return base_for_retry(history), "retry"


def _is_free(history: History) -> bool:
    """Did the last owner let go of it, or bring it to its end?"""
    from windlass.records import RowKind

    return history.last is not None and history.last.kind in (RowKind.RELEASE, RowKind.END, RowKind.SUSPEND)
