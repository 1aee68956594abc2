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

from windlass.clock import boot_s, now
from windlass.config import Settings
from windlass.errors import AuthorError, Interrupted, OperatorError, StoreUnavailable
from windlass.model import Bundle, Cascade, load_cascade, make_bundle, unpack_bundle
from windlass.phases import Stop
from windlass.protocol import read_history
from windlass.records import Json, LogLine, Session, Status
from windlass.runner import (
    Position,
    SessionRunner,
    report_snapshot,
    session_report,
)
from windlass.store import Store
from windlass.worker.adoption import Adopter, Busy
from windlass.worker.footing import Footing
from windlass.worker.ids import new_session_id
from windlass.worker.inputs import checked_input
from windlass.worker.parts import PartsMaker
from windlass.worker.signals import CANCEL, SignalWatch

# How long a cancel waits for the session's owner, and how often it looks. An owner that lives hears a signal
# within half a second, and kills what runs within a few more.
CANCEL_WAIT_S = 10.0
CANCEL_LOOK_S = 0.2

OVER = frozenset(str(status) for status in Status if status.is_over)


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
        self._footing = footing
        self._zygote = footing.zygote
        self._entries: dict[str, Path] = {}
        self._signals = SignalWatch(store.signals)
        self._adopter = Adopter(store=store, home=settings.home, worker_id=self.worker_id)
        self._parts = PartsMaker(
            settings=settings,
            store=store,
            zygote=footing.zygote,
            worker_id=self.worker_id,
            watch=watch,
            run_session=self._run_sub_session,
        )

    def __enter__(self) -> Self:
        self._store.workers.started(self.worker_id)
        self._signals.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signals.close()
        self._zygote.close()
        # An author's error comes before a session is begun, and an interrupted one is released. After any
        # other error a session may be ours still, which only our death frees.
        self._footing.leave_proof = error is not None and not isinstance(error, AuthorError | Interrupted)
        if isinstance(error, StoreUnavailable):
            return  # It was waited for as long as it is worth; what is told it now would wait as long again.
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
        session, position, epoch = self._run(session_id, restart_at=restart_at, stop=self.stop)
        return session_report(session, position, epoch=epoch, worker_id=self.worker_id)

    def cancel(self, session_id: str, *, requested_by: str = "") -> dict[str, Json]:
        """Cancel a session: its owner ends it within a second, or it ends here when nobody runs it.

        Returns:
            The session's report; still running, if its owner has not ended it within `CANCEL_WAIT_S`.

        Raises:
            NotFound: no such session.
        """
        report = self._report(session_id)
        if report["status"] in OVER:
            return report
        self._store.signals.send(session_id, name=CANCEL, sent_by=requested_by)
        try:
            return self.run(session_id)
        except Busy:
            give_up_at = boot_s() + CANCEL_WAIT_S
            while report["status"] not in OVER and boot_s() < give_up_at:
                self.stop.event.wait(CANCEL_LOOK_S)
                self.stop.check()
                report = self._report(session_id)
            return report

    def _report(self, session_id: str) -> dict[str, Json]:
        """How a session stands, whoever runs it."""
        return report_snapshot(self._store.existing(session_id))

    def _run(self, session_id: str, *, stop: Stop, restart_at: str = "") -> tuple[Session, Position, int]:
        snapshot = self._store.existing(session_id)
        cascade = self._unpacked(snapshot.session)
        adoption = self._adopter.adopt(snapshot, restart_at=restart_at)
        if adoption is None:
            history = read_history(snapshot.rows)
            position = self._parts.position(snapshot.session, cascade, history.rows)
            return snapshot.session, position, history.epoch
        with (
            stop.below() as own,
            self._signals.follow(session_id, stop=own, handled=adoption.handled),
            self._parts.make(snapshot.session, cascade, adoption, stop=own) as (parts, position),
        ):
            final = SessionRunner(parts, position).run()
        if not cascade.keep_scratch:
            shutil.rmtree(self._settings.home / "session_dbs" / session_id, ignore_errors=True)
        return snapshot.session, final, adoption.epoch

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

    def _run_sub_session(self, cascade: Cascade, session: Session, stop: Stop) -> Position:
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
        return self._run(session.session_id, stop=stop)[1]
