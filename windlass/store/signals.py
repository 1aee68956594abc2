"""Signals: what outsiders say to sessions, as rows."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from windlass.records import Json
from windlass.store.database import Database
from windlass.store.queries import load_queries
from windlass.store.rows import from_payload, moment, payload

# Sessions that are asked about in one statement: a worker's slots, many times over.
_SESSIONS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Signal:
    """Something an outsider told a session: cancel, an answer, feedback, an event of its own."""

    signal_id: str
    session_id: str
    name: str
    payload: Json
    sent_by: str
    at: datetime


class Signals:
    """The table `signals`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("signals")

    def send(
        self,
        session_id: str,
        *,
        name: str,
        payload_value: Json = None,
        sent_by: str = "",
        signal_id: str = "",
    ) -> str:
        """Tell a session something; its owner reads it at the next look, or when it goes on.

        Args:
            session_id: whom.
            name: what: cancel, or a name that the cascade waits for.
            payload_value: any JSON value.
            sent_by: who says it.
            signal_id: given again by who repeats a `send` that was not acknowledged, so that it counts once.

        Returns:
            The signal's id.

        Raises:
            AuthorError: the payload is no JSON.
            StoreUnavailable: not acknowledged; call again with the same `signal_id`.
        """
        signal_id = signal_id or uuid.uuid4().hex
        row = {
            "signal_id": signal_id,
            "session_id": session_id,
            "name": name,
            "payload": payload(payload_value),
            "sent_by": sent_by,
        }
        self._database.insert("signals", [row])
        return signal_id

    def unhandled(self, session_ids: Iterable[str]) -> list[Signal]:
        """All signals of these sessions, oldest first within a session, each once.

        Whoever owns a session leaves out those that its history says were handled.
        """
        asked = sorted(set(session_ids))
        signals = []
        for first in range(0, len(asked), _SESSIONS_MAX):
            rows = self._database.query(
                self._sql["of_sessions"], {"session_ids": asked[first : first + _SESSIONS_MAX]}
            )
            signals += [
                Signal(**{**row, "payload": from_payload(row["payload"]), "at": moment(row["at"])})
                for row in rows
            ]
        return signals
