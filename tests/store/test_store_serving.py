"""`windlass clickhouse` as people and clients meet it; clickhouse-connect is the judge of its protocol."""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import clickhouse_connect
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.serving import REPOSITORY, Serving
from windlass.config import Settings
from windlass.errors import AccessDenied
from windlass.store import hold_folder, open_store

COMMAND_S_MAX = 60
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    with Serving(tmp_path_factory.mktemp("serving")) as process:
        yield process


def client_of(serving, **options):
    return clickhouse_connect.get_client(
        host="127.0.0.1", port=serving.port, autogenerate_session_id=False, dedicated_pool=True, **options
    )


@pytest.fixture(params=["none", "lz4", "zstd", "gzip"])
def client(request, serving):
    with client_of(serving, compress=False if request.param == "none" else request.param) as made:
        yield made


@pytest.fixture
def table(serving, database_name):
    with client_of(serving) as made:
        made.command(f"CREATE DATABASE {database_name}")
        made.command(f"CREATE TABLE {database_name}.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
        yield f"{database_name}.t"
        made.command(f"DROP DATABASE {database_name}")


def command(root, *words, **environ):
    return subprocess.run(
        [sys.executable, "-m", "windlass", *words],
        env={**os.environ, "WINDLASS_ROOT": str(root), "PYTHONPATH": str(REPOSITORY), **environ},
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
    )


def curl(serving, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): headers[name] for name in headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def peak_mib(serving, act):
    """How much memory the process took on top while `act` ran."""
    folder = f"/proc/{serving.process.pid}"

    def read(name):
        with open(f"{folder}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(name)) / 1024

    with open(f"{folder}/clear_refs", "w") as file:
        file.write("5")  # the peak counts from here
    before = read("VmRSS")
    act()
    return read("VmHWM") - before


def test_every_way_to_insert_and_select_of_the_client_works(client, table):
    frame = pd.DataFrame({"a": np.arange(1000, dtype="uint64"), "s": ["ü\t'\\"] * 1000})
    client.insert(table, [[number, "row"] for number in range(1000)], column_names=["a", "s"])
    client.insert_df(table, frame)
    client.insert_arrow(table, pa.table({"a": pa.array(range(1000), pa.uint64()), "s": ["arrow"] * 1000}))
    client.raw_insert(table, ["a", "s"], b'{"a": 7, "s": "raw"}\n', fmt="JSONEachRow")
    client.command(f"INSERT INTO {table} VALUES", data="(8, 'said')")
    sql = f"SELECT a, s FROM {table}"
    assert client.query(f"{sql} WHERE s = {{s:String}} LIMIT 2", parameters={"s": "ü\t'\\"}).row_count == 2
    assert client.query_df(sql).a.sum() == 3 * 499500 + 15
    assert client.query_np(f"SELECT a FROM {table}").sum() == 3 * 499500 + 15
    assert client.query_arrow(sql).num_rows == 3002
    assert b'"raw"' in client.raw_query(f"{sql} WHERE s = 'raw'", fmt="JSONEachRow")
    for name in ("query_rows_stream", "query_row_block_stream", "query_column_block_stream"):
        with getattr(client, name)(sql) as stream:
            assert sum(1 for _ in stream) > 0
    for name in ("query_df_stream", "query_np_stream", "query_arrow_stream"):
        with getattr(client, name)(f"SELECT a FROM {table}") as stream:
            assert sum(len(part) for part in stream) == 3002
    assert client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 7}).first_row == (
        7,
    )


def test_an_answer_of_many_rows_takes_bounded_memory(serving):
    sql = "SELECT number AS a, toString(number) AS s, repeat('x', 200) AS x FROM numbers(3000000)"

    def read():
        with client_of(serving) as client, client.query_np_stream(sql) as stream:
            assert sum(len(block) for block in stream) == 3_000_000

    read()  # what the engine keeps for itself, it has from now on
    # The engine's blocks on the way vary by some 100 MB with the machine's load; the whole would be 660.
    assert peak_mib(serving, read) < 330, "the answer is 660 MB"


def test_a_large_insert_takes_bounded_memory(serving, table):
    frame = pd.DataFrame({"a": np.arange(1_000_000, dtype="uint64"), "s": ["x" * 200] * 1_000_000})

    def insert():
        with client_of(serving, compress="lz4") as client:
            client.insert_df(table, frame)

    insert()
    peak = peak_mib(serving, insert)
    with client_of(serving) as client:
        assert client.query(f"SELECT count(), sum(a), sum(length(s)) FROM {table}").first_row == (
            2_000_000,
            2 * 499_999_500_000,
            400_000_000,
        )
    assert peak < 400, "the body is 210 MB, and the engine's blocks and parts take as much again"


def test_sixteen_threads_share_a_client(serving, table):
    def work(number):
        client.insert(table, [[number * 100 + turn, "t"] for turn in range(50)], column_names=["a", "s"])
        return client.query(f"SELECT count() FROM {table} WHERE intDiv(a, 100) = {number}").first_row[0]

    with client_of(serving) as client, ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(64))) == [50] * 64


def test_curl_works_and_get_only_reads(serving, table):
    assert curl(serving, "GET", "/?query=SELECT%201") == (200, "1\n")
    assert curl(serving, "POST", "/", b"SELECT 2") == (200, "2\n")
    assert curl(serving, "GET", "/ping") == (200, "Ok.\n")
    status, text = curl(serving, "GET", f"/?query=INSERT%20INTO%20{table}%20VALUES%20(1,'x')")
    assert (status, "READONLY" in text) == (500, True)
    assert curl(serving, "POST", "/", b"SELEC 1")[0] == 400
    assert curl(serving, "POST", "/?database=nowhere", b"SELECT 1")[0] == 404
    assert curl(serving, "POST", "/", b"")[0] == 400


def test_what_a_web_page_sends_is_refused(serving):
    assert curl(serving, "POST", "/", b"SELECT 1", Origin="http://example.com")[0] == 403
    assert curl(serving, "GET", "/?query=SELECT%201", Sec_Fetch_Site="cross-site")[0] == 403
    assert curl(serving, "GET", "/?query=SELECT%201", Sec_Fetch_Site="none")[0] == 200


def test_a_second_process_on_the_folder_is_refused_and_told_who_holds_it(serving, tmp_path):
    held, root = serving.process.pid, serving.root
    refused = command(root, "clickhouse", "--port", "0")
    assert (refused.returncode, f"process {held} holds {root / 'clickhouse'}" in refused.stderr) == (5, True)
    other = command(tmp_path, "clickhouse", "--port", str(serving.port))
    assert (other.returncode, "Address already in use" in other.stderr) == (5, True)


def test_commands_on_the_folder_reach_it_by_themselves(serving):
    with open_store(Settings(root=serving.root)) as store:
        assert not store.is_embedded
        assert store.sessions.list().items == []


def test_beyond_this_machine_it_listens_only_with_a_password(tmp_path):
    refused = command(tmp_path, "clickhouse", "--host", "0.0.0.0", "--port", "0")
    assert (refused.returncode, "needs a password" in refused.stderr) == (5, True)


def test_a_wrong_password_lets_nobody_in_and_a_right_one_is_not_shown(tmp_path):
    secret = {"WINDLASS_CLICKHOUSE_PASSWORD": "s3cret:/@"}
    with Serving(tmp_path, "--host", "0.0.0.0", "--user", "me", environ=secret) as serving:
        assert "s3cret" not in serving.said
        url = f"http://me:{{}}@127.0.0.1:{serving.port}/windlass"
        with pytest.raises(DatabaseError, match="AUTHENTICATION_FAILED") as caught:
            client_of(serving, username="me", password="wrong")
        assert caught.value.code == 516
        with pytest.raises(AccessDenied):
            open_store(Settings(clickhouse_url=url.format("wrong")))
        assert command(tmp_path, "sql", "SELECT 1", WINDLASS_CLICKHOUSE_URL=url.format("x")).returncode == 4
        assert curl(serving, "POST", "/", b"x" * 10 * MIB)[0] == 401
        right = url.format("s3cret%3A%2F%40")
        assert command(tmp_path, "sql", "SELECT 1", WINDLASS_CLICKHOUSE_URL=right).returncode == 0
        assert command(tmp_path, "sql", "SELECT 1").returncode == 0, "the folder's URL file has it"


def test_it_stops_when_asked_after_what_runs_and_keeps_what_it_acknowledged(tmp_path, wait_until):
    with Serving(tmp_path) as serving, client_of(serving) as client:
        client.command("CREATE TABLE default.t (a UInt64) ENGINE = MergeTree ORDER BY a")
        slow = "INSERT INTO default.t SELECT number + sleepEachRow(0.1) FROM numbers(10)"
        running = threading.Thread(target=client.command, args=(slow,))
        running.start()
        busy = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%'"
        wait_until(lambda: int(curl(serving, "POST", "/", busy.encode())[1]) > 1)
        code, said = serving.stop()
        running.join(30)
        assert (code, "could not" in said) == (0, False)
        with pytest.raises(ConnectionRefusedError):
            curl(serving, "GET", "/ping")
        serving.start()
        assert curl(serving, "POST", "/", b"SELECT count() FROM default.t") == (200, "10\n")


def test_it_stops_when_one_of_the_engine_s_threads_gets_the_signal(tmp_path):
    with Serving(tmp_path) as serving:
        pid = serving.process.pid
        threads = [int(name) for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]
        thread = next(each for each in threads if not blocks_sigterm(pid, each))
        assert ctypes.CDLL(None).tgkill(pid, thread, signal.SIGTERM) == 0
        assert serving.process.wait(COMMAND_S_MAX) == 0


def test_a_statement_that_takes_too_long_is_cancelled_when_it_stops(tmp_path, monkeypatch, wait_until):
    monkeypatch.setattr("windlass.store.endpoint._CLOSE_S_MAX", 0.2)
    holder = hold_folder(
        tmp_path / "clickhouse",
        host="::1" if has_ipv6() else "127.0.0.1",
        port=0,
        user="u",
        password="p",
        database="d",
    )
    address = holder.address
    options = {"username": "u", "password": "p", "autogenerate_session_id": False, "query_retries": 0}
    client = clickhouse_connect.get_client(
        host=address.host, port=address.port, dedicated_pool=True, **options
    )
    endless = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"
    errors = []

    def run():
        try:
            client.query(endless)
        except Exception as error:
            errors.append(error)

    running = threading.Thread(target=run)
    running.start()
    busy = "SELECT count() FROM system.processes WHERE query LIKE '%1000000000000%'"
    wait_until(lambda: client.query(busy).first_row[0] > 1)
    assert holder.close()
    running.join(30)
    assert len(errors) == 1
    client.close()


def blocks_sigterm(pid, thread):
    with open(f"/proc/{pid}/task/{thread}/status") as file:
        mask = next(int(line.split()[1], 16) for line in file if line.startswith("SigBlk"))
    return bool(mask >> (signal.SIGTERM - 1) & 1)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
