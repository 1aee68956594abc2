"""What a phase leaves in the scratch comes back on another worker, to the last bit and type."""

from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windlass.records import SavedObject
from windlass.scratch import Scratch, ScratchError, quote_name, snapshot, split_statements
from windlass.scratch.catalog import Entry


def open_scratch(folder: Path) -> Scratch:
    folder.mkdir(parents=True, exist_ok=True)
    return Scratch(folder, bundle=folder, memory_bytes=1 << 30)


def run(scratch: Scratch, phase: str, text: str, folder: Path) -> list[SavedObject]:
    """One phase of SQL, committed; what it left."""
    scratch.begin(phase)
    scratch.need(text)
    for statement in split_statements(text):
        scratch.check(statement)
        scratch.connection.execute(statement.text).fetchall()
    made = scratch.made_by_phase()
    saved = scratch.save(made, into=folder)
    scratch.commit(made)
    return saved


@pytest.fixture
def first(tmp_path: Path) -> Scratch:
    return open_scratch(tmp_path / "first")


@pytest.fixture
def second(tmp_path: Path) -> Scratch:
    return open_scratch(tmp_path / "second")


LEAVES = {
    "TINYINT": st.integers(-128, 127).map(str),
    "UBIGINT": st.integers(0, 2**64 - 1).map(str),
    "HUGEINT": st.integers(-(2**127) + 1, 2**127 - 1).map(str),
    "UHUGEINT": st.integers(0, 2**128 - 1).map(str),
    "BIGNUM": st.integers(-(10**60), 10**60).map(str),
    "DECIMAL(38,10)": st.integers(-(10**37), 10**37).map(lambda n: f"{n // 10**10}.{abs(n) % 10**10:010d}"),
    "DOUBLE": st.one_of(st.floats(allow_nan=True), st.just(-0.0)).map(repr),
    "FLOAT": st.floats(width=32).map(repr),
    "BOOLEAN": st.sampled_from(["true", "false"]),
    "VARCHAR": st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    "BLOB": st.binary().map(lambda data: "".join(f"\\x{byte:02X}" for byte in data)),
    "BIT": st.text(alphabet="01", min_size=1),
    "UUID": st.uuids().map(str),
    "DATE": st.one_of(st.dates().map(str), st.sampled_from(["infinity", "-infinity", "0044-03-15 (BC)"])),
    "TIME": st.times().map(str),
    "TIMETZ": st.tuples(st.times(), st.integers(-57599, 57599)).map(
        lambda pair: (
            f"{pair[0]}{'-' if pair[1] < 0 else '+'}{abs(pair[1]) // 3600:02d}:"
            f"{abs(pair[1]) // 60 % 60:02d}:{abs(pair[1]) % 60:02d}"
        )
    ),
    "TIMESTAMP": st.one_of(st.datetimes().map(str), st.sampled_from(["infinity", "-infinity"])),
    "TIMESTAMPTZ": st.datetimes().map(lambda moment: f"{moment}+00"),
    "TIMESTAMP_S": st.datetimes().map(lambda moment: str(moment.replace(microsecond=0))),
    "TIMESTAMP_MS": st.datetimes().map(str),
    "TIMESTAMP_NS": st.integers(-(2**62), 2**62).map(lambda n: f"ns:{n}"),
    "INTERVAL": st.tuples(
        st.integers(-999, 999), st.integers(-9999, 9999), st.integers(-(10**12), 10**12)
    ).map(lambda parts: "{} months {} days {} microseconds".format(*parts)),
    "ENUM('a', 'it''s', 'ü')": st.sampled_from(["a", "it's", "ü"]),
}


def literal(kind: str, value: str) -> str:
    if value.startswith("ns:"):
        return f"make_timestamp_ns({value[3:]})"
    return f"CAST('{value.replace(chr(39), chr(39) * 2)}' AS {kind})"


def leaf_types() -> st.SearchStrategy[tuple[str, st.SearchStrategy[str]]]:
    return st.sampled_from(sorted(LEAVES)).map(
        lambda kind: (kind, LEAVES[kind].map(lambda value: literal(kind, value)))
    )


def nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    def orNull(values: st.SearchStrategy[str], kind: str) -> st.SearchStrategy[str]:
        return st.one_of(values, st.just(f"CAST(NULL AS {kind})"))

    def make_list(one):
        kind, values = one
        lists = st.lists(orNull(values, kind), max_size=3)
        return f"{kind}[]", lists.map(lambda items: f"CAST([{', '.join(items)}] AS {kind}[])")

    def make_array(one):
        kind, values = one
        arrays = st.tuples(orNull(values, kind), orNull(values, kind))
        return f"{kind}[2]", arrays.map(lambda items: f"CAST([{', '.join(items)}] AS {kind}[2])")

    def make_struct(two):
        (a, a_values), (b, b_values) = two
        kind = f'STRUCT("a" {a}, "b ""c" {b})'
        both = st.tuples(orNull(a_values, a), orNull(b_values, b))
        return kind, both.map(lambda p: f'CAST(struct_pack("a" := {p[0]}, "b ""c" := {p[1]}) AS {kind})')

    def make_map(two):
        (a, a_values), (b, b_values) = two
        kind = f"MAP({a}, {b})"
        return kind, st.tuples(a_values, orNull(b_values, b)).map(
            lambda p: f"CAST(map_from_entries([struct_pack(k := {p[0]}, v := {p[1]})]) AS {kind})"
        )

    def make_union(two):
        (a, a_values), (b, b_values) = two
        kind = f'UNION("num" {a}, "s t" {b})'
        return kind, st.one_of(
            orNull(a_values, a).map(lambda v: f'CAST(union_value("num" := {v}) AS {kind})'),
            orNull(b_values, b).map(lambda v: f'CAST(union_value("s t" := {v}) AS {kind})'),
        )

    pair = st.tuples(inner, inner)
    return st.one_of(
        inner.map(make_list),
        inner.map(make_array),
        pair.map(make_struct),
        pair.map(make_map),
        pair.map(make_union),
    )


TYPES = st.recursive(leaf_types(), nested, max_leaves=4)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as made:
        made.execute("SET TimeZone = 'UTC'")
        yield made


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_table_of_any_types_and_values_comes_back_exactly(data, connection, tmp_path_factory):
    columns = data.draw(st.lists(TYPES, min_size=1, max_size=3))
    rows = [
        [data.draw(st.one_of(values, st.just("NULL"))) for _, values in columns]
        for _ in range(data.draw(st.integers(0, 3)))
    ]
    connection.execute("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS original")
    ddl = ", ".join(f"c{i} {kind}" for i, (kind, _) in enumerate(columns))
    connection.execute(f"CREATE TABLE t (n INTEGER, {ddl})")
    for number, row in enumerate(rows):
        connection.execute(f"INSERT INTO t VALUES ({number}, {', '.join(row)})").fetchall()
    text = connection.execute("SELECT sql FROM duckdb_tables() WHERE table_name = 't'").fetchall()[0][0]
    entry = Entry(name="t", kind="table", ddl=text, oid=1, owner="p", rows=len(rows))
    saved = snapshot.save(connection, entry, tmp_path_factory.getbasetemp() / "t.parquet")
    connection.execute("ALTER TABLE t RENAME TO original")
    snapshot.restore(connection, saved)

    # DuckDB's own text shows every value; beside it a union's tag, which a NULL has too.
    tags = "".join(
        f", union_tag(c{i})"
        for i, (kind, _) in enumerate(columns)
        if kind.endswith(")") and kind.startswith("UNION(")
    )
    both = [
        connection.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR){tags} FROM {table} ORDER BY n").fetchall()
        for table in ("original", "t")
    ]
    assert both[1] == both[0]
    types = [
        connection.execute(f"SELECT column_type FROM (DESCRIBE {table})").fetchall()
        for table in ("original", "t")
    ]
    assert types[1] == types[0]


def vars_of(item: SavedObject) -> dict:
    return {name: getattr(item, name) for name in item.__slots__}


def moved(item: SavedObject, folder: Path) -> str:
    if not item.path:
        return ""
    target = folder / Path(item.path).name
    target.write_bytes(Path(item.path).read_bytes())
    return str(target)


def carry_over(saved: list[SavedObject], second: Scratch) -> None:
    second.know([SavedObject(**{**vars_of(item), "path": moved(item, second.folder)}) for item in saved])


def rows(scratch: Scratch, text: str, phase: str = "reader") -> list:
    scratch.begin(phase)
    scratch.need(text)
    found = scratch.connection.execute(text).fetchall()
    scratch.commit()
    return found


def test_names_with_quotes_keywords_and_other_alphabets_survive(first, second):
    name = 'select "größe" 数'
    saved = run(
        first, "p", f'CREATE TABLE {quote_name(name)} ("a""b" INT, "order" INT, "ключ" INT)', first.folder
    )
    carry_over(saved, second)
    assert rows(second, f"FROM {quote_name(name)}") == []


def test_views_macros_and_types_come_back_with_what_they_depend_on(first, second):
    saved = run(first, "a", "CREATE TABLE base AS SELECT range AS n FROM range(3)", first.folder)
    saved += run(
        first,
        "b",
        """
        CREATE TYPE mood AS ENUM ('good', 'bad');
        CREATE MACRO twice(x) AS x * 2;
        CREATE MACRO rows_of(k) AS TABLE SELECT * FROM base WHERE n >= k;
        CREATE VIEW doubled AS SELECT twice(n) AS d FROM base;
        CREATE TABLE moods (m mood);
        INSERT INTO moods VALUES ('bad');
        """,
        first.folder,
    )
    carry_over(saved, second)
    assert rows(second, "SELECT sum(d) FROM doubled") == [(6,)]
    assert rows(second, "SELECT count(*) FROM rows_of(1)") == [(2,)]
    assert rows(second, "SELECT m, 'good'::mood FROM moods") == [("bad", "good")]


def test_constraints_defaults_and_generated_columns_survive(first, second):
    text = "CREATE TABLE t (a INT PRIMARY KEY, b INT DEFAULT 7, c INT GENERATED ALWAYS AS (a + 1));"
    text += "INSERT INTO t (a) VALUES (1)"
    carry_over(run(first, "p", text, first.folder), second)
    assert rows(second, "FROM t") == [(1, 7, 2)]
    assert "PRIMARY KEY" in second.connection.execute("SELECT sql FROM duckdb_tables()").fetchall()[0][0]


def test_only_what_a_text_names_is_restored(first, second):
    saved = run(
        first, "a", "CREATE TABLE wanted AS SELECT 1 a; CREATE TABLE other AS SELECT 2 a", first.folder
    )
    carry_over(saved, second)
    rows(second, "FROM wanted")
    assert second.connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("wanted",)]
    assert second.table_names() == ["other", "wanted"]


def test_a_rollback_takes_back_what_was_restored_in_it(first, second):
    carry_over(run(first, "a", "CREATE TABLE t AS SELECT 1 a", first.folder), second)
    second.begin("fails")
    second.need("FROM t")
    second.rollback()
    assert rows(second, "FROM t") == [(1,)]


def test_a_restored_table_belongs_to_the_phase_that_made_it(first, second):
    carry_over(run(first, "a", "CREATE TABLE t AS SELECT 1 a", first.folder), second)
    with pytest.raises(ScratchError, match="t was made by an earlier phase"):
        run(second, "b", "CREATE OR REPLACE TABLE t AS SELECT 2 a", second.folder)
    second.rollback()
    run(second, "a", "CREATE OR REPLACE TABLE t AS SELECT 3 a", second.folder)
    assert rows(second, "FROM t") == [(3,)]


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t VALUES (2)",
        "insert into scratch.main.t values (2)",
        "WITH x AS (SELECT 2 a) INSERT INTO t SELECT * FROM x",
        "UPDATE t SET a = 2",
        'update "T" set a = 2',
        "DELETE FROM t",
        "TRUNCATE t",
        "MERGE INTO t USING (SELECT 1 a) s ON s.a = t.a WHEN MATCHED THEN DELETE",
        "DROP TABLE t",
        "DROP TABLE IF EXISTS main.t",
        "ALTER TABLE t ADD COLUMN b INT",
        "ALTER TABLE t RENAME TO u",
        "CREATE OR REPLACE TABLE t AS SELECT 2 a",
        "CREATE OR REPLACE VIEW t AS SELECT 2 a",
        "COPY t FROM 'x.csv'",
        "CREATE INDEX i ON t (a)",
    ],
)
def test_every_way_of_changing_an_earlier_phases_table_is_refused(first, text):
    run(first, "a", "CREATE TABLE t AS SELECT 1 a", first.folder)
    with pytest.raises(ScratchError, match=r"(?i)\bt was made by an earlier phase") as caught:
        run(first, "b", text, first.folder)
    assert "into a table of this phase's own" in caught.value.hint
    first.rollback()
    assert rows(first, "FROM t") == [(1,)]


def test_reading_and_copying_an_earlier_table_is_allowed(first):
    run(first, "a", "CREATE TABLE t AS SELECT 1 a", first.folder)
    run(
        first,
        "b",
        "CREATE TABLE u AS FROM t; INSERT INTO u FROM t; DELETE FROM u WHERE a IN (SELECT a FROM t)",
        first.folder,
    )
    assert rows(first, "FROM u") == []


def test_the_second_net_finds_a_change_that_no_statement_named(first):
    run(first, "a", "CREATE TABLE t AS SELECT 1 a", first.folder)
    first.begin("b")
    for statement in split_statements("CREATE TABLE u AS SELECT 1"):
        first.check(statement)
    first.connection.execute("INSERT INTO t VALUES (2)").fetchall()
    with pytest.raises(ScratchError, match="t was made by an earlier phase"):
        first.made_by_phase()


@pytest.mark.parametrize(
    "text",
    [
        "ATTACH 'other.duckdb'", "LOAD httpfs", "INSTALL httpfs", "SET memory_limit = '1TB'", "BEGIN",
        "COMMIT",
        "PREPARE p AS SELECT 1", "EXPORT DATABASE 'x'", "CREATE SEQUENCE s", "CREATE SCHEMA s", "USE memory",
        "DETACH scratch",
    ],
)  # fmt: skip
def test_statements_that_undo_the_scratch_are_refused(first, text):
    with pytest.raises(ScratchError, match="refused"):
        run(first, "a", f"SELECT 1;\n{text}", first.folder)


def test_a_file_outside_of_the_sessions_folders_cannot_be_read(first, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for text in (
        f"FROM '{secret}'",
        f"FROM '{first.folder}/../secret.csv'",
        "FROM read_text('/proc/self/environ')",
    ):
        with pytest.raises(duckdb.Error, match="disabled by configuration"):
            run(first, "a", text, first.folder)
        first.rollback()
