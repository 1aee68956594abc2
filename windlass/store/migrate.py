"""The tables and views, brought up to date when a store is opened.

Files `sql/NNNN_name.sql` are applied in order, once, forwards only; each statement in them may be
repeated without harm. Views are made again when their text changed.

    nothing there ──▶ 0000 (always) ──▶ for each file: claim it ──mine──▶ apply ──▶ done
                                                        └─another's──▶ wait for done, then apply it too
                                                                       if that takes too long (it died)

Failure: a starter that dies between the claim and `done` costs the next one `_WAIT_S_MAX`; since the
statements may be repeated, nothing else. The usual start, with nothing to do, is one query.
"""

import hashlib
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import windlass
from windlass.errors import OperatorError
from windlass.store.database import Database
from windlass.store.faults import UNKNOWN_DATABASE, UNKNOWN_TABLE, StatementRefused
from windlass.store.queries import load_queries

# How long to wait for another starter's file. A file takes about a second, on a cluster several.
_WAIT_S_MAX = 30.0
_LOOK_S = 0.1
# What the compare-and-set relies on; without any one of these two workers can own one session.
_COMPARE_AND_SET_TABLES = ("claims", "sessions", "schema_migrations")
_WINDOW_MIN = 10_000
_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_SETTING = re.compile(r"\b(\w+) = '?(\d+)'?")
_TTL_DAYS = re.compile(r"toIntervalDay\((\d+)\)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings ask of the tables.

    Attributes:
        cluster: the cluster's name, "" for a single server or the embedded engine.
        fsync: must a row be on the disk before it counts?
        retention_days: how long log rows are kept.
    """

    cluster: str
    fsync: bool
    retention_days: int


@dataclass(frozen=True, slots=True)
class SqlFile:
    """One file of DDL with the checksum of its text, macros unexpanded."""

    kind: str
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def sql_folder() -> Path:
    """Where the DDL is: inside an installed package, at the top of a repository."""
    package = Path(windlass.__file__).parent
    installed = package / "_sql"
    return installed if installed.is_dir() else package.parent / "sql"


class Migrator:
    """Brings one database up to date.

    Args:
        database: which.
        wanted: what the settings ask for.
        folder: where the files are.
    """

    def __init__(self, database: Database, *, wanted: Wanted, folder: Path | None = None) -> None:
        self._database = database
        self._wanted = wanted
        self._sql = load_queries("migrate")
        folder = folder or sql_folder()
        self._files = [
            SqlFile("ddl", found.group(1), path.read_text(encoding="utf-8"))
            for path in sorted(folder.glob("*.sql"))
            if (found := _FILE.fullmatch(path.name))
        ]
        self._views = [
            SqlFile("view", path.stem, path.read_text(encoding="utf-8"))
            for path in sorted(folder.glob("views/*.sql"))
        ]
        if not self._files:
            raise OperatorError(
                f"no DDL in {folder}; the installation is incomplete", hint="install Windlass again"
            )

    def migrate(self) -> list[str]:
        """Bring the database up to date; the names of what was applied, [] when nothing was to do.

        Raises:
            OperatorError: the schema is newer than this Windlass, an applied file was changed, or the tables
                lack what the protocol relies on.
            StoreUnavailable: the store did not answer.
        """
        done = self._applied()
        if done is None:
            self._bootstrap()
            done = {}
        self._check(done)
        applied = []
        for file in self._files[1:] + self._views:
            checksum, times = done.get((file.kind, file.name), ("", 0))
            if checksum != file.checksum and self._apply(file, attempt=times):
                applied.append(f"{file.kind} {file.name}")
        self._verify()
        return applied

    def _applied(self) -> dict[tuple[str, str], tuple[str, int]] | None:
        """(newest checksum, times) by (kind, name) of what is done; None before there is a table."""
        try:
            rows = self._database.query(self._sql["applied"])
        except StatementRefused as error:
            if error.code in (UNKNOWN_DATABASE, UNKNOWN_TABLE):
                return None
            raise
        return {(row["kind"], row["name"]): (row["checksum"], row["times"]) for row in rows}

    def _bootstrap(self) -> None:
        self._database.create(cluster=self._wanted.cluster)
        self._run(self._files[0])

    def _check(self, done: Mapping[tuple[str, str], tuple[str, int]]) -> None:
        known = {file.name: file for file in self._files}
        for (kind, name), (checksum, _) in done.items():
            if kind != "ddl":
                continue
            if name not in known:
                raise OperatorError(
                    f"the database {self._database.name} has schema {name}, and this Windlass knows only"
                    f" {self._files[-1].name}",
                    hint="a newer Windlass was here; install that version, or use another database",
                )
            if known[name].checksum != checksum:
                raise OperatorError(
                    f"the tables of {self._database.name} were made by another version of Windlass, whose"
                    f" schema {name} differs from this one's",
                    hint="use the Windlass that made them, or another WINDLASS_ROOT or database; a change of"
                    " the schema belongs into a file with the next number in sql/",
                )

    def _apply(self, file: SqlFile, *, attempt: int) -> bool:
        """Apply a file that nobody else applies; True when it was us."""
        if not self._is_ours(file, attempt=attempt) and self._is_done_by_another(file):
            return False
        self._run(file)
        self._database.insert("schema_migrations", [self._row(file, state="done", attempt=attempt)])
        return True

    def _is_ours(self, file: SqlFile, *, attempt: int) -> bool:
        """Claim the file by compare-and-set; True when we are the one who applies it."""
        starter = uuid.uuid4().hex
        self._database.insert(
            "schema_migrations",
            [self._row(file, state="begun", attempt=attempt, starter=starter)],
            token=f"migration:{file.kind}:{file.name}:{attempt}:{file.checksum}",
        )
        rows = self._database.query(
            self._sql["begun"],
            {"kind": file.kind, "name": file.name, "checksum": file.checksum, "attempt": attempt},
        )
        # Acknowledged and nobody there is a token that a crash burnt: then all who see that apply the file.
        return not rows or bool(rows[0]["starter"] == starter)

    def _is_done_by_another(self, file: SqlFile) -> bool:
        deadline = time.monotonic() + _WAIT_S_MAX
        while time.monotonic() < deadline:
            checksum, _ = (self._applied() or {}).get((file.kind, file.name), ("", 0))
            if checksum == file.checksum:
                return True
            time.sleep(_LOOK_S)
        return False

    def _run(self, file: SqlFile) -> None:
        for statement in self._statements(file):
            self._database.command(statement)

    def _statements(self, file: SqlFile) -> list[str]:
        text = file.text
        on_cluster = f"ON CLUSTER `{self._wanted.cluster}`" if self._wanted.cluster else ""
        macros = {
            "database": f"`{self._database.name}`",
            "engine": "ReplicatedMergeTree" if self._wanted.cluster else "MergeTree",
            "on_cluster": on_cluster,
            "fsync": str(int(self._wanted.fsync)),
            "retention_days": str(self._wanted.retention_days),
        }
        for name, value in macros.items():
            text = text.replace("{" + name + "}", value)
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
        return [
            piece.strip()
            for piece in re.split(r";\s*$", "\n".join(lines), flags=re.MULTILINE)
            if piece.strip()
        ]

    def _row(self, file: SqlFile, *, state: str, attempt: int, starter: str = "") -> dict[str, Any]:
        return {
            "kind": file.kind,
            "name": file.name,
            "state": state,
            "checksum": file.checksum,
            "attempt": attempt,
            "starter": starter,
        }

    def _verify(self) -> None:
        """Check the tables that the protocol relies on, and bring fsync and retention to what is wanted."""
        tables = {
            row["name"]: row
            for row in self._database.query(self._sql["tables"], {"database": self._database.name})
        }
        for name in _COMPARE_AND_SET_TABLES:
            self._verify_compare_and_set(name, tables.get(name))
        if any("Replicated" in row["engine"] or "Shared" in row["engine"] for row in tables.values()):
            self._database.reach.use_quorum()
        on_cluster = f" ON CLUSTER `{self._wanted.cluster}`" if self._wanted.cluster else ""
        for name, row in tables.items():
            settings = dict(_SETTING.findall(row["engine_full"]))
            fsync = str(int(self._wanted.fsync))
            if settings.get("fsync_after_insert", fsync) != fsync and name != "schema_migrations":
                self._database.command(
                    f"ALTER TABLE `{name}`{on_cluster} MODIFY SETTING"
                    f" fsync_after_insert = {fsync}, fsync_part_directory = {fsync},"
                    f" min_rows_to_fsync_after_merge = {fsync}"
                )
            days = _TTL_DAYS.search(row["engine_full"])
            if days and int(days.group(1)) != self._wanted.retention_days:
                self._database.command(
                    f"ALTER TABLE `{name}`{on_cluster} MODIFY TTL"
                    f" toDateTime(at) + toIntervalDay({self._wanted.retention_days})"
                )

    def _verify_compare_and_set(self, name: str, row: Mapping[str, str] | None) -> None:
        wrong = ""
        settings = dict(_SETTING.findall(row["engine_full"])) if row else {}
        if row is None:
            wrong = "is missing"
        elif not row["engine"].endswith("MergeTree") or row["engine"].endswith(
            ("ReplacingMergeTree", "SummingMergeTree")
        ):
            wrong = f"has the engine {row['engine']}, and not MergeTree"
        elif row["partition_key"]:
            wrong = f"is partitioned by {row['partition_key']}, which splits the deduplication"
        elif settings.get("enable_block_number_column") != "1":
            wrong = "has not enable_block_number_column = 1, so that a merge forgets who was first"
        elif int(settings.get(self._window_name(row["engine"]), "0")) < _WINDOW_MIN:
            wrong = (
                f"has not {self._window_name(row['engine'])} >= {_WINDOW_MIN}, so that nothing is exclusive"
            )
        if wrong:
            raise OperatorError(
                f"the table {self._database.name}.{name} {wrong}: two workers could own one session",
                hint="let Windlass make its own tables, or undo what was changed (see sql/0001_core.sql)",
            )

    @staticmethod
    def _window_name(engine: str) -> str:
        local = engine == "MergeTree"
        return "non_replicated_deduplication_window" if local else "replicated_deduplication_window"
