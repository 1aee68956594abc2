import gzip
import http.client
import threading
from base64 import b64encode
from urllib.parse import quote

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from windlass.errors import OperatorError
from windlass.store.address import parse_address
from windlass.store.connect import connect


@pytest.fixture
def address(holder):
    return parse_address(holder.holder_url, database="default")


@pytest.fixture
def client(address):
    with clickhouse_connect.get_client(
        host=address.host,
        port=address.port,
        username=address.user,
        password=address.password,
        autogenerate_session_id=False,
        pool_mgr=None,
        dedicated_pool=True,
    ) as client:
        yield client


@pytest.fixture
def table(client, database_name):
    client.command(f"CREATE DATABASE {database_name}")
    name = f"{database_name}.t"
    client.command(
        f"CREATE TABLE {name} (a Int64, b String, c Array(String), d DateTime64(3, 'UTC')) ENGINE = Memory"
    )
    return name


def ask(address, method, path, body=b"", **headers):
    connection = http.client.HTTPConnection(address.host, address.port, timeout=30)
    who = b64encode(f"{address.user}:{address.password}".encode()).decode()
    try:
        connection.request(method, path, body, {"Authorization": f"Basic {who}", **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_an_ordinary_client_inserts_and_selects(client, table):
    from datetime import UTC, datetime

    rows = [
        [number, "ü\n\t'\\" * number, ["a", "b'"], datetime(2026, 1, 2, tzinfo=UTC)] for number in range(100)
    ]
    assert client.insert(table, rows).written_rows is not None
    assert client.command(f"SELECT count() FROM {table}") == 100
    found = client.query(f"SELECT a, b, c FROM {table} ORDER BY a").result_rows
    assert [list(row) for row in found] == [row[:3] for row in rows]


def test_a_large_answer_and_a_large_insert_arrive_whole(client, table):
    count = 300_000
    client.command(f"INSERT INTO {table} (a, b) SELECT number, toString(number) FROM numbers({count})")
    frame = client.query(f"SELECT a, b FROM {table}").result_columns
    assert (len(frame[0]), sum(frame[0])) == (count, count * (count - 1) // 2)
    client.insert(table, [[number, "x" * 50] for number in range(count)], column_names=["a", "b"])
    assert client.command(f"SELECT count() FROM {table}") == 2 * count
    with client.query_rows_stream(f"SELECT a FROM {table}") as stream:
        assert sum(1 for _ in stream) == 2 * count


def test_values_are_bound_whatever_is_in_them(client):
    for value in ["it's", "a\tb\nc\\d", "ü😀", "{x:String}", "x" * 100_000]:
        assert client.query("SELECT {v:String} AS v", parameters={"v": value}).result_rows == [(value,)]
    assert client.query("SELECT {v:Array(String)}", parameters={"v": ["a'b", "c\\"]}).result_rows == [
        (["a'b", "c\\"],)
    ]


def test_settings_of_one_request_do_not_stay_for_the_next(client):
    query = "SELECT getSetting('max_block_size')"
    usual = client.query(query).result_rows
    assert client.query(query, settings={"max_block_size": 7}).result_rows == [(7,)]
    assert client.query(query).result_rows == usual


def test_a_read_only_request_does_not_make_the_next_one_read_only(client, table):
    client.query("SELECT 1", settings={"readonly": 1})
    for number in range(20):
        client.command(f"INSERT INTO {table} (a) VALUES ({number})")
    with pytest.raises(DatabaseError, match="READONLY"):
        client.command(f"INSERT INTO {table} (a) VALUES (1)", settings={"readonly": 1})


def test_an_error_has_clickhouse_s_code_and_text(client):
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as caught:
        client.query("SELECT * FROM nothing_like_it")
    assert caught.value.code == 60


@pytest.mark.parametrize("turn", range(5))
def test_an_error_in_the_middle_of_an_answer_is_never_taken_for_its_end(client, turn):
    sql = "SELECT number, throwIf(number = 900000) FROM numbers(1000000)"
    with pytest.raises(DatabaseError, match="FUNCTION_THROW_IF"):
        client.query(sql)
    with (
        pytest.raises(StreamFailureError, match="FUNCTION_THROW_IF"),
        client.query_rows_stream(sql) as stream,
    ):
        assert sum(1 for _ in stream) < 0


def test_an_empty_result_and_a_limit_of_nothing_have_their_columns(client, table):
    assert client.query(f"SELECT a, b FROM {table} LIMIT 0").column_names == ("a", "b")
    assert client.query(f"SELECT a, b FROM {table}").result_rows == []


def test_a_ping_needs_no_password_and_everything_else_does(address):
    assert ask(address, "GET", "/ping", Authorization="")[0] == 200
    status, headers, _ = ask(address, "POST", "/", b"SELECT 1", Authorization="Basic eDp5")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (401, "516")
    assert (
        ask(
            address,
            "POST",
            f"/?user={address.user}&password={quote(address.password)}",
            b"SELECT 1",
            Authorization="",
        )[2]
        == b"1\n"
    )


def test_wrong_credentials_are_an_operator_s_error(address):
    from dataclasses import replace

    with pytest.raises(OperatorError, match="let us in"):
        connect(replace(address, password="wrong"))


def test_a_compressed_body_and_one_in_chunks_are_understood(address, table):
    def pieces():
        yield b"INSERT INTO %s (a) FORMAT JSONEachRow\n" % table.encode()
        yield b'{"a": 1}\n{"a": 2}\n'

    assert ask(address, "POST", "/", pieces())[0] == 200
    body = gzip.compress(b'{"a": 3}\n')
    path = f"/?query={quote(f'INSERT INTO {table} (a) FORMAT JSONEachRow')}"
    assert ask(address, "POST", path, body, **{"Content-Encoding": "gzip"})[0] == 200
    assert ask(address, "POST", "/", f"SELECT sum(a) FROM {table}".encode())[2] == b"6\n"


def test_half_a_body_is_no_statement(address, table):
    connection = http.client.HTTPConnection(address.host, address.port, timeout=30)
    who = b64encode(f"{address.user}:{address.password}".encode()).decode()
    connection.putrequest("POST", "/")
    connection.putheader("Authorization", f"Basic {who}")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(f"INSERT INTO {table} (a) VALUES (1)".encode())
    import socket

    connection.sock.shutdown(socket.SHUT_WR)
    assert connection.getresponse().status == 400
    connection.close()
    assert ask(address, "POST", "/", f"SELECT count() FROM {table}".encode())[2] == b"0\n"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(address):
    assert ask(address, "POST", "/", **{"Content-Length": str(10**12)})[0] == 413


def test_a_small_body_that_unpacks_to_a_large_one_is_refused(address, table, monkeypatch):
    monkeypatch.setattr("windlass.store.endpoint_body.BODY_BYTES_MAX", 1_000_000)
    bomb = gzip.compress(b" " * 10_000_000)
    headers = {"Content-Encoding": "gzip"}
    assert ask(address, "POST", f"/?query=INSERT+INTO+{table}+FORMAT+CSV", bomb, **headers)[0] == 413


def test_who_sends_too_much_gets_to_read_that(address, monkeypatch):
    monkeypatch.setattr("windlass.store.endpoint_body.BODY_BYTES_MAX", 1_000_000)
    assert ask(address, "POST", "/", b" " * 20_000_000)[0] == 413
    assert ask(address, "POST", "/", iter([b" " * 1_000_000] * 20))[0] == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
def test_a_body_that_is_not_packed_as_it_says_is_refused(address, encoding):
    for body in (b"SELECT 1", gzip.compress(b"SELECT 1")[:-3]):
        assert ask(address, "POST", "/", body, **{"Content-Encoding": encoding})[0] == 400
    assert ask(address, "POST", "/", b"SELECT 1", **{"Content-Encoding": "br"})[0] == 415


def test_a_body_in_several_packed_members_is_read_to_its_end(address):
    body = gzip.compress(b"SELECT ") + gzip.compress(b"42")
    assert ask(address, "POST", "/", body, **{"Content-Encoding": "gzip"})[2] == b"42\n"


@pytest.mark.parametrize("form", ["JSONEachRow", "CSV", "TabSeparated"])
def test_a_body_too_large_for_memory_goes_through_a_file_and_arrives_whole(address, table, monkeypatch, form):
    monkeypatch.setattr("windlass.store.endpoint_body._MEMORY_BYTES_MAX", 1000)
    lines = {"JSONEachRow": '{{"a":{0},"b":"x{0}"}}\n', "CSV": '{0},"x{0}"\n', "TabSeparated": "{0}\tx{0}\n"}
    data = "".join(lines[form].format(number) for number in range(10_000)).encode()
    head = f"INSERT INTO {table} (a, b) FORMAT {form}"
    assert ask(address, "POST", f"/?query={quote(head)}", data)[0] == 200
    assert ask(address, "POST", "/", head.encode() + b"\n" + data)[0] == 200
    values = ",".join(f"({number},'v')" for number in range(10_000))
    assert ask(address, "POST", "/", f"INSERT INTO {table} (a, b) VALUES {values}".encode())[0] == 200
    answer = ask(address, "POST", "/", f"SELECT count(), sum(a), uniq(b) FROM {table}".encode())[2]
    assert answer.split()[:2] == [b"30000", b"149985000"]


def test_many_clients_at_once_get_their_own_answers(address):
    wrong = []

    def work(number):
        for turn in range(20):
            expected = str(number * 1000 + turn)
            if (
                ask(address, "POST", f"/?max_block_size={number + 1}", f"SELECT {expected}".encode())[2]
                != f"{expected}\n".encode()
            ):
                wrong.append(expected)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
