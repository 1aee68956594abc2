import pytest

from windlass.records import Checkpoint, RowKind
from windlass.store import QueryRejected

OUTSIDE = [
    "INSERT INTO claims (session_id) VALUES ('x')",
    "DROP TABLE claims",
    "TRUNCATE TABLE claims",
    "ALTER TABLE claims DELETE WHERE 1",
    "CREATE TABLE x (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE x (a Int8)",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "SET readonly = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT file('/etc/passwd')",
    "SELECT `file`('/etc/passwd')",
    "SELECT \"fi\\x6ce\"('/etc/passwd')",
    "SELECT fIlE /* here */ ('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM executable('ls', 'TSV', 'a String')",
    "SELECT * FROM remote('127.0.0.1:1', system.one)",
    "SELECT * FROM python(x)",
    "SELECT 1 INTO OUTFILE '{out}'",
    "SELECT 1 INTO/**/OUTFILE '{out}'",
    "SELECT 1 INTO -- x\n OUTFILE '{out}'",
    "SELECT 1; DROP TABLE claims",
    "EXPLAIN SELECT 1 INTO OUTFILE '{out}'",
    "",
    "nonsense",
    "SELECT 'unfinished",
]


@pytest.mark.parametrize("sql", OUTSIDE)
def test_what_does_more_than_read_is_refused_and_changes_nothing(store, tmp_path, sql):
    out = tmp_path / "out"
    with pytest.raises(QueryRejected):
        store.read_only(sql.replace("{out}", str(out)))
    assert not out.exists()
    assert store.claims.highest("x") == 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  -- a remark\n SELECT 1;",
        "WITH 1 AS x SELECT x",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "SHOW TABLES",
        "DESCRIBE claims",
        "EXISTS claims",
        "EXPLAIN SELECT 1",
        "SELECT 'a; INTO OUTFILE file(' AS text",
        "SELECT count() FROM sessions_now",
        "SELECT count() FROM phases",
        "SELECT count() FROM failures",
        "SELECT count() FROM sessions_per_day",
    ],
)
def test_what_reads_is_run(store, sql):
    assert len(list(store.read_only(sql).rows)) >= 1


def test_an_answer_has_names_types_and_rows(store):
    store.checkpoints.append(Checkpoint("s1", 1, 1, RowKind.PHASE)).result(10)
    answer = store.read_only("SELECT session_id, seq FROM checkpoints")
    assert (list(answer.columns), list(answer.types)) == (["session_id", "seq"], ["String", "UInt32"])
    assert list(answer.rows) == [("s1", 1)]


def test_the_rows_of_an_answer_can_be_limited(store):
    assert len(list(store.read_only("SELECT number FROM numbers(1000)", limit_rows=10).rows)) == 10


def test_a_query_that_runs_too_long_is_ended(store):
    with pytest.raises(QueryRejected, match="TIMEOUT_EXCEEDED"):
        store.read_only("SELECT count() FROM numbers(1000000000000)", limit_s=0.5)


def test_a_wrong_query_is_its_author_s_error_and_says_what_is_wrong(store):
    with pytest.raises(QueryRejected, match="UNKNOWN_TABLE"):
        store.read_only("SELECT * FROM nothing_like_it")


def test_every_view_says_what_it_answers(store):
    rows = store._database.query(
        "SELECT name, comment FROM system.tables WHERE database = {d:String}", {"d": store._database.name}
    )
    assert all(row["comment"] for row in rows), rows
