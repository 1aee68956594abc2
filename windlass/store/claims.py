"""Claims: who may run a session, decided by a compare-and-set.

    claim(session, epoch)
        │
        ▼                 fate unknown (anything but an acknowledgement)
      SENDING ◀────────────────────────┐ the identical row, same token
        │   └──────────────────────────┘
        │ acknowledged (a duplicate is acknowledged too)
        ▼
      READ BACK ── a higher epoch stands ───────────────▶ LOST to its owner
        │ the epoch's row with the lowest _block_number
        ├── is ours ────────────────────────────────────▶ HELD; trust counts from the first send
        ├── is another's ───────────────────────────────▶ LOST to them
        └── is not there ───────────────────────────────▶ BURNT: the token outlived a crash; try the next

It works because the store keeps one block of all that carry the token `<session>:<epoch>`, and gives
blocks numbers. What it needs of the table (one partition, a large window, block numbers that survive
merges), `migrate` checks at every start.

Failure: when sending has to be given up (`StoreUnavailable`), the claim may land at any later time. The
caller has two moves: call again with the same `claim_id`, or leave that session alone for good.

Source: Windlass's protocol, sections 3.0 and 3.2 of its design, found by simulation.
"""

import uuid
from dataclasses import dataclass
from typing import TypeAlias

from windlass.clock import boot_s
from windlass.records import Claim
from windlass.store.database import Database
from windlass.store.queries import load_queries


@dataclass(frozen=True, slots=True)
class Held:
    """The claim is ours.

    Attributes:
        first_sent_boot_s: when this claim_id was first sent, by `clock.boot_s`. Trust counts from
            then; if it is over by now, the holder must claim the next epoch.
    """

    epoch: int
    claim_id: str
    first_sent_boot_s: float


@dataclass(frozen=True, slots=True)
class Lost:
    """Somebody else's claim stands, of this epoch or a higher one."""

    by: Claim


@dataclass(frozen=True, slots=True)
class Burnt:
    """Acknowledged, and nobody's row is there: the epoch is nobody's for ever."""

    epoch: int


ClaimResult: TypeAlias = Held | Lost | Burnt


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to claim, to be sent again as it is while its fate is unknown."""

    session_id: str
    epoch: int
    worker_id: str
    claim_id: str
    first_sent_boot_s: float

    @classmethod
    def new(cls, session_id: str, *, epoch: int, worker_id: str) -> "Attempt":
        """An attempt that starts now."""
        return cls(session_id, epoch, worker_id, uuid.uuid4().hex, boot_s())


class Claims:
    """The table `claims`, and the claims of epoch 1 that stand in `sessions`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("claims")

    def highest(self, session_id: str) -> int:
        """The highest epoch that anybody claimed, 0 when nobody did."""
        rows = self._database.query(self._sql["highest"], {"session_id": session_id})
        return int(rows[0]["epoch"])

    def read(self, session_id: str) -> list[Claim]:
        """The claims that hold, lowest epoch first, at most one per epoch.

        Epoch 1 is the session's own when its submitter claimed it there: it knew the id before anybody.
        """
        params = {"session_id": session_id}
        own = [
            Claim(session_id, 1, row["worker_id"], "")
            for row in self._database.query(self._sql["from_session"], params)
        ]
        rows = self._database.query(self._sql["read"], params)
        others = [Claim(session_id, row["epoch"], row["worker_id"], row["claim_id"]) for row in rows]
        return own + [claim for claim in others if not own or claim.epoch != 1]

    def claim(self, session_id: str, epoch: int, worker_id: str) -> ClaimResult:
        """Claim an epoch that was judged free in a consistent read just before.

        Raises:
            StoreUnavailable: fate unknown, and this attempt is lost to the caller: leave the session alone.
                Who wants to go on instead, keeps an `Attempt` and calls `carry_out` with it again.
        """
        return self.carry_out(Attempt.new(session_id, epoch=epoch, worker_id=worker_id))

    def carry_out(self, attempt: Attempt) -> ClaimResult:
        """Send an attempt until it is acknowledged, and read back who holds the epoch.

        Raises:
            StoreUnavailable: fate unknown; call again with the same attempt, or leave the session alone.
        """
        row = {
            "session_id": attempt.session_id,
            "epoch": attempt.epoch,
            "worker_id": attempt.worker_id,
            "claim_id": attempt.claim_id,
        }
        self._database.insert("claims", [row], token=f"{attempt.session_id}:{attempt.epoch}")
        standing = self.read(attempt.session_id)
        if standing and standing[-1].epoch > attempt.epoch:
            return Lost(standing[-1])
        holder = next((claim for claim in standing if claim.epoch == attempt.epoch), None)
        if holder is None:
            return Burnt(attempt.epoch)
        if holder.claim_id == attempt.claim_id:
            return Held(attempt.epoch, attempt.claim_id, attempt.first_sent_boot_s)
        return Lost(holder)
