"""Puts together what one running session works with, and takes it apart again."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from windlass.config import Settings
from windlass.errors import AuthorError
from windlass.guest import Guest
from windlass.model import Cascade, Limits, load_cascade
from windlass.phases import Done, Failed, Outcome, Stop
from windlass.records import Checkpoint, Failure, Json, JsonObject, LogLine, RowKind, Session, Status
from windlass.runner import Journal, Keeper, Ledger, Position, SessionParts, first_phase, replay
from windlass.sandbox import Child, ChildLimits, ChildSpec, Zygote
from windlass.store import Store
from windlass.templates import Templates
from windlass.worker.ids import child_session_id

# How long a step waits for the store's acknowledgement before the session is left to be resumed. A
# restart of a ClickHouse server takes well under a minute.
ACK_LIMIT_S = 120.0

_MIB = 1024 * 1024

# Variables that every child gets from this process: where programs are, and how text is written.
CHILD_ENVIRON = ("PATH", "LANG", "LC_ALL", "TZ")


@dataclass(frozen=True, slots=True)
class Adoption:
    """A claimed epoch and what its owner takes over.

    Attributes:
        base: the last row that is kept, (0, 0) for none.
        rows: the rows that count up to the base, oldest first.
        claimed: False when the submission itself claimed epoch 1.
    """

    epoch: int
    base: tuple[int, int]
    rows: tuple[Checkpoint, ...]
    reason: str
    claimed: bool

    def marker(self, session_id: str, base: tuple[int, int]) -> Checkpoint:
        """The takeover row that this adoption with `base` will write."""
        return Checkpoint(
            session_id=session_id,
            epoch=self.epoch,
            seq=0,
            kind=RowKind.TAKEOVER,
            base_epoch=base[0],
            base_seq=base[1],
        )


class PartsMaker:
    """Makes `SessionParts` for the sessions of one worker.

    Args:
        run_child: runs (cascade, session) to its end and returns (position, epoch).
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        zygote: Zygote,
        worker_id: str,
        watch: Callable[[LogLine], None] | None,
        stop: Stop,
        run_child: Callable[[Cascade, Session], tuple[Position, int]],
    ) -> None:
        self._settings = settings
        self._store = store
        self._zygote = zygote
        self._worker_id = worker_id
        self._sinks = (store.logs.append, watch) if watch else (store.logs.append,)
        self._stop = stop
        self._run_child = run_child

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
        self, session: Session, cascade: Cascade, adoption: Adoption
    ) -> Iterator[tuple[SessionParts, Position]]:
        """The parts and the position for one epoch; the takeover row stands when this yields."""
        folder = self._settings.home / "session_dbs" / session.session_id / str(adoption.epoch)
        shutil.rmtree(folder, ignore_errors=True)
        position = self.position(session, cascade, adoption.rows)
        ledger = Ledger(
            checkpoints=self._store.checkpoints,
            session_id=session.session_id,
            epoch=adoption.epoch,
            worker_id=self._worker_id,
            ack_limit_s=ACK_LIMIT_S,
            check=self._stop.check,
        )
        ledger.take_over(base=adoption.base, reason=adoption.reason)
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
        keeper = Keeper(
            artifacts=self._store.artifacts,
            incoming=folder / "incoming",
            gallery=self._settings.home / "artifacts" / session.session_id,
        )
        guest = self._guest(
            session, cascade, folder=folder, position=position, keeper=keeper, journal=journal
        )
        parts = SessionParts(
            session=session,
            cascade=cascade,
            folder=_folder_of(cascade),
            search=self.search,
            settings=self._settings,
            ledger=ledger,
            journal=journal,
            keeper=keeper,
            guest=guest,
            templates=Templates(environ=_named(self._settings.template_env)),
            children=SubSessions(owner=self, session=session, cascade=cascade),
            stop=self._stop,
            is_owner=lambda: self._store.claims.highest(session.session_id) == adoption.epoch,
        )
        try:
            yield parts, position
        finally:
            guest.close()

    def _guest(
        self,
        session: Session,
        cascade: Cascade,
        *,
        folder: Path,
        position: Position,
        keeper: Keeper,
        journal: Journal,
    ) -> Guest:
        settings = self._settings
        bundle = _folder_of(cascade)
        asked = cascade.limits or Limits()
        limits = ChildLimits(
            memory_bytes=_lower(settings.memory_mb, asked.memory_mb) * _MIB,
            processes=_lower(settings.processes_max, asked.processes),
            file_bytes=_lower(settings.file_mb, asked.file_mb) * _MIB,
            cpu_s=None if asked.cpu_s is None else max(1, round(asked.cpu_s)),
        )
        numbers = count(1)

        def spawn() -> Child:
            own = folder / str(next(numbers))
            own.mkdir(parents=True)
            spec = ChildSpec(
                folder=bundle,
                environ=self._child_environ(session, own),
                limits=limits,
                options={
                    "folder": str(own),
                    "bundle": str(bundle),
                    "search": [str(path) for path in self.search],
                    "artifacts": str(own / "artifacts"),
                    "readable": [str(folder / "incoming"), *self._readable(session, cascade)],
                    "writable": [],
                    "memory_bytes": limits.memory_bytes,
                    "output_bytes_max": _lower(settings.output_mb, asked.output_mb) * _MIB,
                    "session_id": session.session_id,
                },
                session_id=session.session_id,
            )
            return self._zygote.spawn(spec)

        return Guest(
            spawn=spawn,
            restored=lambda: keeper.fetch_objects(list(position.scratch.values())),
            echo=position.echo,
            stop=self._stop.event,
            log=journal.printed,
            log_bytes_max=settings.log_kb * 1024,
        )

    def _readable(self, session: Session, cascade: Cascade) -> list[str]:
        templates = Templates(environ=_named(self._settings.template_env))
        declared = [str(templates.render(path, {"input": session.input})) for path in cascade.access.read]
        allowed = [path for path in self._settings.read_paths.split(":") if path]
        return [*session.grants, *declared, *allowed]

    def _child_environ(self, session: Session, own: Path) -> dict[str, str]:
        passed = _named(",".join((*CHILD_ENVIRON, self._settings.child_env)))
        return passed | {"HOME": str(own), "WINDLASS_SESSION_ID": session.session_id}

    def run_sub_session(
        self, parent: Session, cascade: Cascade, *, given: JsonObject, name: str, phase: str
    ) -> Outcome:
        """Run the sub-cascade's session `name` to its end and tell how it ended."""
        child = replace(
            parent,
            session_id=name,
            cascade_id=cascade.cascade_id,
            input=given,
            parent_session_id=parent.session_id,
            parent_phase=phase,
            depth=parent.depth + 1,
            worker_id="",
        )
        position, _ = self._run_child(cascade, child)
        end = position.end or {}
        if position.status is not Status.COMPLETED:
            error = end.get("error") or {}
            reason = error.get("message", "")
            message = f"sub-cascade {cascade.cascade_id} (session {name}) {position.status}: {reason}"
            return Failed(
                Failure(phase=phase, kind="cascade", message=message, detail=error.get("detail", ""))
            )
        output: dict[str, Json] = {
            "session_id": name,
            "status": str(position.status),
            "result": position.result,
            "outputs": dict(position.echo.outputs),
            "state": dict(position.echo.state),
        }
        return Done(output=output)

    def depth_failure(self, session: Session, phase: str) -> Failed | None:
        """The failure of a sub-cascade that would nest too deep, or None."""
        if session.depth + 1 <= self._settings.depth_max:
            return None
        return Failed(
            Failure(
                phase=phase,
                kind="depth",
                message=f"sub-cascades are nested deeper than {self._settings.depth_max}",
                hint="a cascade that runs itself needs a `when`; WINDLASS_DEPTH_MAX raises the limit",
                retryable=False,
            )
        )


class SubSessions:
    """Sub-cascades of one session (see `windlass.phases.ChildSessions`)."""

    def __init__(self, *, owner: PartsMaker, session: Session, cascade: Cascade) -> None:
        self._owner = owner
        self._session = session
        self._cascade = cascade

    def run(self, *, cascade: Path, input: JsonObject, phase: str, visit: int, attempt: int) -> Outcome:
        """Run the cascade at `cascade` as a session of its own; the same try finds the same session."""
        too_deep = self._owner.depth_failure(self._session, phase)
        if too_deep is not None:
            return too_deep
        try:
            loaded = load_cascade(cascade, search=self._owner.search)
            name = child_session_id(self._session.session_id, phase, visit, attempt)
            return self._owner.run_sub_session(self._session, loaded, given=input, name=name, phase=phase)
        except AuthorError as error:
            return Failed(
                Failure(phase=phase, kind="cascade", message=error.message, hint=error.hint, retryable=False)
            )


def _named(names: str) -> dict[str, str]:
    """The variables of this process whose names are listed, separated by commas."""
    wanted = {name.strip() for name in names.split(",")}
    return {name: value for name, value in os.environ.items() if name in wanted}


def _lower(allowed: int, asked: int | None) -> int:
    """What a cascade asked for, if the operator's setting allows that much."""
    return allowed if asked is None else min(allowed, asked)


def _folder_of(cascade: Cascade) -> Path:
    """The folder of a cascade that was loaded from its unpacked bundle."""
    assert cascade.folder is not None
    return cascade.folder
