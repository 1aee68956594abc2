"""What the engine remembers: the rows that sessions, claims and checkpoints are made of.

These are plain frozen values. They know no table and no transport; `windlass.store` moves them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

# A value that JSON can carry: what outputs, inputs, states and rows are made of.
Json: TypeAlias = Any
JsonObject: TypeAlias = Mapping[str, Json]


class Status(StrEnum):
    """What a session is doing, derived from its history and never stored by itself."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """True when nothing more will happen by itself."""
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class RowKind(StrEnum):
    """What a checkpoint row says. See `windlass.protocol.history` for how rows make a history."""

    TAKEOVER = "takeover"  # seq 0 of an epoch: which earlier rows its owner adopted
    PHASE = "phase"  # a phase is over: done, skipped or failed, and what comes next
    ATTEMPT = "attempt"  # one try of a phase failed and another will follow
    RELEASE = "release"  # the owner let go; the session goes on when somebody claims it
    SUSPEND = "suspend"  # the session waits for a time, a signal, a person or a child
    END = "end"  # the session is over


@dataclass(frozen=True, slots=True)
class Session:
    """One run of one cascade, as it was asked for. Written once, never changed.

    Attributes:
        bundle: content hash of the cascade's bundle (64 hex digits).
        input: the session's input after defaults, checked against the cascade's schema.
        grants: absolute paths the person who started it let it read.
        worker_id: the claim of epoch 1 when the submitting worker made it, else "".
        depth: 0 for a session somebody asked for, 1 for its sub-cascades, and so on.
    """

    session_id: str
    cascade_id: str
    bundle: str
    input: JsonObject
    grants: Sequence[str] = ()
    priority: int = 0
    tags: Sequence[str] = ()
    parent_session_id: str = ""
    parent_phase: str = ""
    depth: int = 0
    idempotency_key: str = ""
    requested_by: str = ""
    worker_id: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run a session in one epoch, as the store has it."""

    session_id: str
    epoch: int
    worker_id: str
    claim_id: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One row of a session's history.

    Attributes:
        epoch, seq: the row's place; seq counts from 0 without gaps within an epoch.
        phase: the phase it is about, "" where it is about the session.
        visit: which visit of that phase, from 1; handoffs can enter a phase many times.
        body: what the row says, by its kind (see `windlass.runner.ledger`).
        base_epoch, base_seq: on a takeover row, the last adopted row; (0, 0) is nothing.
    """

    session_id: str
    epoch: int
    seq: int
    kind: RowKind
    phase: str = ""
    visit: int = 0
    body: JsonObject = field(default_factory=dict)
    base_epoch: int = 0
    base_seq: int = 0
    worker_id: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a phase or session failed, in terms its author can act on.

    Attributes:
        phase: the phase that failed, "" for the session itself.
        kind: a short stable word: sql, python, shell, http, template, timeout, memory, schema …
        message: what happened, first line first.
        detail: more of it (a traceback with the author's lines, the end of stderr), or "".
        hint: what to do about it, or "".
        line: the 1-based line in the author's code, 0 where there is none.
        retryable: False when trying again cannot help (a template that names nothing).
        retry_after_s: how long the other side asked to be left alone (an HTTP Retry-After).
    """

    phase: str
    kind: str
    message: str
    detail: str = ""
    hint: str = ""
    line: int = 0
    retryable: bool = True
    retry_after_s: float | None = None

    def as_json(self) -> dict[str, Json]:
        """The failure as it is stored and shown: {phase, kind, message, detail, hint, line}."""
        return {
            "phase": self.phase,
            "kind": self.kind,
            "message": self.message,
            "detail": self.detail,
            "hint": self.hint,
            "line": self.line,
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> "Failure":
        """The failure that `as_json` wrote."""
        return cls(**{name: value[name] for name in ("phase", "kind", "message", "detail", "hint", "line")})


@dataclass(frozen=True, slots=True)
class SavedObject:
    """Something a phase left in the scratch, in a form that any worker can restore.

    Attributes:
        name: the object's name in the scratch (`_tickets`).
        kind: table, view, macro or type.
        ddl: the statement that makes it again (for a table, with its exact column types).
        path: the Parquet file that holds a table's rows, "" for other kinds; where it is on
            this machine before it is stored, and again after it is fetched.
        rows, bytes: how many rows the table has and how large the file is.
        sha256: of the file, "" where there is none.
    """

    name: str
    kind: str
    ddl: str
    path: str = ""
    rows: int = 0
    bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file that a phase made: an artifact.

    Attributes:
        name: its path below the session's artifacts folder, with forward slashes.
        path: where it is on this machine.
        media_type: image/svg+xml, text/csv …
    """

    name: str
    path: str
    bytes: int = 0
    sha256: str = ""
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event of a session, as `unified_logs` keeps it.

    Attributes:
        event: session.started, phase.done, phase.failed, attempt.failed, log, session.ended …
        level: debug, info, warning or error.
        message: text for people; a line that the author's code printed when event is "log".
        data: facts by name (attempt, rows, next …).
        seq: this session's log position within the epoch, given by the owner, from 1.
    """

    session_id: str
    cascade_id: str
    epoch: int
    seq: int
    event: str
    level: str = "info"
    phase: str = ""
    visit: int = 0
    message: str = ""
    status: str = ""
    duration_s: float = 0.0
    data: JsonObject = field(default_factory=dict)
    worker_id: str = ""
    at: datetime | None = None
