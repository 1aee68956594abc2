import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from windlass.errors import StoreUnavailable
from windlass.records import Checkpoint, LogLine, RowKind
from windlass.store import StatementRefused

LIMIT_S = 30


def row(seq, session_id="s1", **changes):
    return Checkpoint(session_id, 1, seq, RowKind.PHASE, **changes)


def seqs(store, session_id="s1"):
    return [found.seq for found in store.checkpoints.read(session_id)]


def test_a_future_is_done_when_its_row_can_be_read(store):
    for seq in range(5):
        store.checkpoints.append(row(seq)).result(LIMIT_S)
        assert seqs(store) == list(range(seq + 1))


def test_rows_gather_while_a_batch_is_in_flight(open_on, database_name, proxy):
    store = open_on("http", database_name, url=proxy.url)
    before = len(proxy.inserts)
    proxy.gate.clear()
    first = store.checkpoints.append(row(0))
    proxy.wait_for_inserts(before + 1)
    later = [store.checkpoints.append(row(seq)) for seq in range(1, 101)]
    assert not any(future.done() for future in [first, *later])
    proxy.gate.set()
    for future in [first, *later]:
        future.result(LIMIT_S)
    assert len(proxy.inserts) == before + 2
    assert seqs(store) == list(range(101))


def test_a_batch_whose_reply_was_lost_is_sent_again_as_the_same_bytes_and_read_once(
    open_on, database_name, proxy
):
    store = open_on("http", database_name, url=proxy.url)
    before = len(proxy.inserts)
    proxy.lose_replies = 2
    store.checkpoints.append(row(0)).result(LIMIT_S)
    assert len(proxy.inserts) == before + 3
    assert len(set(proxy.inserts[before:])) == 1
    assert seqs(store) == [0]


def test_rows_wait_for_a_store_that_is_away_and_are_kept_when_it_returns(open_on, database_name, proxy):
    store = open_on("http", database_name, url=proxy.url)
    proxy.is_down = True
    futures = [store.checkpoints.append(row(seq)) for seq in range(10)]
    with pytest.raises(TimeoutError):
        futures[0].result(0.5)
    proxy.is_down = False
    for future in futures:
        future.result(LIMIT_S)
    assert seqs(store) == list(range(10))


def test_a_full_lane_makes_its_producers_wait_and_not_those_of_the_other(open_on, database_name, proxy):
    store = open_on("http", database_name, url=proxy.url, rows_max=3)
    before = len(proxy.inserts)
    proxy.gate.clear()
    futures = [store.checkpoints.append(row(0))]
    proxy.wait_for_inserts(before + 1)
    futures += [store.checkpoints.append(row(seq)) for seq in (1, 2, 3)]
    went_in = threading.Event()

    def one_more():
        futures.append(store.checkpoints.append(row(4)))
        went_in.set()

    producer = threading.Thread(target=one_more)
    producer.start()
    assert not went_in.wait(0.3)
    store.logs.append(LogLine("s1", "c", 1, 1, "log"))
    proxy.gate.set()
    assert went_in.wait(LIMIT_S)
    producer.join(LIMIT_S)
    for future in futures:
        future.result(LIMIT_S)
    assert seqs(store) == [0, 1, 2, 3, 4]


def test_what_is_queued_is_written_when_the_store_closes(open_on, database_name):
    store = open_on("embedded", database_name)
    futures = [store.checkpoints.append(row(seq)) for seq in range(200)]
    for seq in range(1, 201):
        store.logs.append(LogLine("s1", "c", 1, seq, "log"))
    assert store.close()
    assert all(future.result(0) is None for future in futures)
    again = open_on("embedded", database_name)
    assert len(seqs(again)) == len(again.logs.tail("s1")) == 200


def test_closing_has_a_limit_and_fails_the_futures_that_are_left(open_on, database_name, proxy):
    store = open_on("http", database_name, url=proxy.url)
    proxy.is_down = True
    futures = [store.checkpoints.append(row(seq)) for seq in range(3)]
    assert not store.close(limit_s=0.5)
    for future in futures:
        with pytest.raises(StoreUnavailable):
            future.result(LIMIT_S)


def test_a_closed_store_takes_no_rows_and_its_threads_are_gone(open_on, database_name):
    store = open_on("embedded", database_name)
    store.checkpoints.append(row(0)).result(LIMIT_S)
    lanes = {store._writer._durable._thread}
    store.close()
    assert not lanes & set(threading.enumerate())
    with pytest.raises(StoreUnavailable):
        store.checkpoints.append(row(1))


def test_rows_that_the_store_refuses_fail_their_own_future_and_nobody_else_s(store):
    gate = threading.Event()
    send = store._database.send

    def held_up(statement):
        gate.wait(LIMIT_S)
        send(statement)

    store._database.send = held_up
    first = store.checkpoints.append(row(0))
    bad = {"session_id": "s1", "epoch": "no number", "seq": 1}
    futures = [store.checkpoints.append(row(1)), store._writer.append("checkpoints", [bad])]
    worse = dict.fromkeys(store.checkpoints.append.__globals__["_row"](row(2)), "no number either")
    futures += [store._writer.append("checkpoints", [worse]), store.checkpoints.append(row(3))]
    gate.set()
    for future in (first, futures[0], futures[3]):
        future.result(LIMIT_S)
    for future in futures[1:3]:
        with pytest.raises(StatementRefused):
            future.result(LIMIT_S)
    assert seqs(store) == [0, 1, 3]


def test_a_burst_from_many_threads_is_kept_whole(store):
    def produce(number):
        for future in [store.checkpoints.append(row(seq, f"s{number}")) for seq in range(100)]:
            future.result(LIMIT_S)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(produce, range(8)))
    assert all(seqs(store, f"s{number}") == list(range(100)) for number in range(8))
