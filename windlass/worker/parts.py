"""Puts together what one running session works with, and takes it apart again."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from windlass.config import Settings
from windlass.model import Cascade
from windlass.phases import Stop
from windlass.records import Checkpoint, LogLine, Session
from windlass.runner import Journal, Keeper, Ledger, Position, SessionParts, first_phase, replay
from windlass.sandbox import Zygote
from windlass.store import Store
from windlass.templates import Templates
from windlass.worker.adoption import Adoption
from windlass.worker.guests import GuestMaker, named_variables
from windlass.worker.sub_sessions import RunSession, SubSessions


class PartsMaker:
    """Makes `SessionParts` for the sessions of one worker.

    Args:
        run_session: runs the session of a sub-cascade.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        zygote: Zygote,
        worker_id: str,
        watch: Callable[[LogLine], None] | None,
        run_session: RunSession,
    ) -> None:
        self._settings = settings
        self._store = store
        self._zygote = zygote
        self._worker_id = worker_id
        self._sinks = (store.logs.append, watch) if watch else (store.logs.append,)
        self._run_session = run_session

    @property
    def search(self) -> tuple[Path, ...]:
        """Where names are found beside the cascade's own folder."""
        home = self._settings.home
        return (home, home / "tackle", home / "cascades")

    def position(self, session: Session, cascade: Cascade, rows: Sequence[Checkpoint]) -> Position:
        """Where `rows` leave the session."""
        return replay(rows, session_input=session.input, first=first_phase(cascade))

    @contextmanager
    def make(
        self, session: Session, cascade: Cascade, adoption: Adoption, *, stop: Stop
    ) -> Iterator[tuple[SessionParts, Position]]:
        """The parts and the position for one epoch; the takeover row stands when this yields.

        Args:
            stop: set when this session must end.
        """
        folder = self._settings.home / "session_dbs" / session.session_id / str(adoption.epoch)
        incoming = folder / "incoming"
        shutil.rmtree(folder, ignore_errors=True)
        position = self.position(session, cascade, adoption.rows)
        ledger = self._ledger(session, adoption, stop)
        journal = self._journal(session, adoption)
        keeper = Keeper(
            artifacts=self._store.artifacts,
            folder=folder,
            incoming=incoming,
            gallery=self._settings.home / "artifacts" / session.session_id,
        )
        maker = GuestMaker(
            settings=self._settings,
            zygote=self._zygote,
            session=session,
            cascade=cascade,
            folder=folder,
            incoming=incoming,
            search=cascade.search,
        )
        keeper.fetch_files(position.files.values(), into=maker.artifacts)
        guest = maker.guest(position=position, keeper=keeper, journal=journal, stop=stop)
        parts = SessionParts(
            session=session,
            cascade=cascade,
            settings=self._settings,
            ledger=ledger,
            journal=journal,
            keeper=keeper,
            guest=guest,
            inline=maker.inline(guest, position=position, journal=journal),
            templates=Templates(environ=named_variables(self._settings.template_env)),
            children=SubSessions(
                session=session,
                cascade=cascade,
                depth_max=self._settings.depth_max,
                run_session=self._run_session,
                stop=stop,
            ),
            stop=stop,
            is_owner=lambda: self._store.claims.highest(session.session_id) == adoption.epoch,
        )
        try:
            yield parts, position
        finally:
            guest.close()

    def _ledger(self, session: Session, adoption: Adoption, stop: Stop) -> Ledger:
        """The epoch's ledger; its takeover row stands."""
        ledger = Ledger(
            checkpoints=self._store.checkpoints,
            session_id=session.session_id,
            epoch=adoption.epoch,
            worker_id=self._worker_id,
            ack_limit_s=self._settings.store_wait_s,
            check=stop.check,
        )
        ledger.take_over(base=adoption.base, reason=adoption.reason, handled=adoption.handled)
        return ledger

    def _journal(self, session: Session, adoption: Adoption) -> Journal:
        """The epoch's log, which begins by saying why."""
        journal = Journal(
            session_id=session.session_id,
            cascade_id=session.cascade_id,
            epoch=adoption.epoch,
            worker_id=self._worker_id,
            sinks=self._sinks,
        )
        journal.event(
            "session.resumed" if adoption.epoch > 1 else "session.started",
            status="running",
            data={"input": dict(session.input), "reason": adoption.reason},
        )
        return journal
