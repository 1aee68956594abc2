import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from windlass.errors import OperatorError
from windlass.store.migrate import Migrator, Wanted, sql_folder

COLUMNS = "session_id String, epoch UInt32, worker_id String, claim_id String"
WANTED = Wanted(cluster="", fsync=False, retention_days=90)


@pytest.fixture
def folder(tmp_path):
    """A copy of the DDL that a test may change."""
    return shutil.copytree(sql_folder(), tmp_path / "sql")


def migrator(store, folder=None, **changes):
    return Migrator(store._database, wanted=replace(WANTED, **changes), folder=folder)


def test_the_first_start_applies_everything_and_the_second_nothing(store):
    assert "ddl 0001" in store.applied
    assert "view sessions_now" in store.applied
    assert migrator(store).migrate() == []


def test_every_file_may_be_applied_twice(store):
    again = migrator(store)
    for file in again._files + again._views:
        again._run(file)
    assert migrator(store).migrate() == []


def test_a_new_file_is_applied_on_top(store, folder):
    (folder / "0002_more.sql").write_text(
        "-- Twice, with a ';' in a remark.\n"
        "CREATE TABLE IF NOT EXISTS {database}.more {on_cluster} (x Int8) ENGINE = {engine} ORDER BY x;\n"
        "ALTER TABLE {database}.more ADD COLUMN IF NOT EXISTS y Int8;\n"
    )
    assert migrator(store, folder).migrate() == ["ddl 0002"]
    assert migrator(store, folder).migrate() == []
    assert store._database.query("SELECT count(y) AS n FROM more") == [{"n": 0}]


def test_a_changed_view_is_made_again(store, folder):
    view = folder / "views" / "failures.sql"
    view.write_text(view.read_text().replace("epoch,\n    seq", "epoch,\n    seq,\n    1 AS one"))
    assert migrator(store, folder).migrate() == ["view failures"]
    assert "one" in store.read_only("SELECT * FROM failures").columns
    assert migrator(store).migrate() == ["view failures"]
    assert "one" not in store.read_only("SELECT * FROM failures").columns


def test_a_changed_file_that_was_applied_is_refused(store, folder):
    path = folder / "0001_core.sql"
    path.write_text(path.read_text() + "\n-- one more remark\n")
    with pytest.raises(OperatorError, match=r"0001 differs"):
        migrator(store, folder).migrate()


def test_a_schema_newer_than_this_windlass_is_refused(store):
    row = {"kind": "ddl", "name": "0009", "state": "done", "checksum": "x", "starter": ""}
    store._database.insert("schema_migrations", [row])
    with pytest.raises(OperatorError, match="0009"):
        migrator(store).migrate()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("ALTER TABLE claims MODIFY SETTING non_replicated_deduplication_window = 0", "exclusive"),
        ("ALTER TABLE sessions MODIFY SETTING non_replicated_deduplication_window = 5", "exclusive"),
        ("DROP TABLE claims", "missing"),
        (
            f"CREATE OR REPLACE TABLE claims ({COLUMNS}) ENGINE = MergeTree PARTITION BY epoch"
            " ORDER BY session_id SETTINGS"
            " enable_block_number_column = 1, non_replicated_deduplication_window = 100000",
            "partitioned",
        ),
        (
            f"CREATE OR REPLACE TABLE claims ({COLUMNS}) ENGINE = MergeTree"
            " ORDER BY session_id SETTINGS non_replicated_deduplication_window = 100000",
            "block_number",
        ),
        (
            f"CREATE OR REPLACE TABLE claims ({COLUMNS}) ENGINE = ReplacingMergeTree ORDER BY session_id",
            "ReplacingMergeTree",
        ),
    ],
)
def test_tables_under_which_a_claim_is_not_exclusive_are_refused(store, change, says):
    store._database.command(change)
    with pytest.raises(OperatorError, match=says):
        migrator(store).migrate()


def engine_full(store, table):
    rows = store._database.query(
        "SELECT engine_full FROM system.tables WHERE database = {d:String} AND name = {t:String}",
        {"d": store._database.name, "t": table},
    )
    return rows[0]["engine_full"]


def test_fsync_and_retention_follow_the_settings_at_the_next_start(store):
    assert "fsync_after_insert = 0" in engine_full(store, "checkpoints")
    migrator(store, fsync=True, retention_days=7).migrate()
    for table in ("sessions", "claims", "checkpoints", "signals"):
        assert "fsync_after_insert = 1, fsync_part_directory = 1" in engine_full(store, table)
    assert "fsync" not in engine_full(store, "unified_logs")
    assert "toIntervalDay(7)" in engine_full(store, "unified_logs")


@pytest.mark.parametrize("transport", ["embedded", "http"])
def test_starters_in_many_threads_apply_each_file_once(open_on, database_name, transport):
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: open_on(transport, database_name), range(6)))
    applied = [name for store in stores for name in store.applied]
    assert len(applied) == len(set(applied)) > 1
    assert stores[0]._database.query("SELECT count() AS n FROM claims") == [{"n": 0}]


STARTER = """
import sys
from windlass.config import Settings
from windlass.store import open_store
with open_store(Settings(clickhouse_url=sys.argv[1], fsync=False)) as store:
    print(*store.applied, sep="|")
"""


def test_starters_in_many_processes_apply_each_file_once(holder, database_name):
    url = f"{holder.holder_url.rsplit('/', 1)[0]}/{database_name}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, url],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        for _ in range(3)
    ]
    told = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    applied = [name for line in told if line for name in line.split("|")]
    assert len(applied) == len(set(applied)) > 1
