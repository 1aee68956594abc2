import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from windlass.records import Claim, Session
from windlass.store import Attempt, Burnt, Held, Lost

# The protocol's own test asks for 200 races of 16; with `-m long` they run, and fewer at every commit.
RACERS = 16
RACES = 20


def race(stores, session_id, racers=RACERS):
    """All racers claim epoch 1 of one session at the same moment; their results."""
    start = threading.Barrier(racers)

    def one(number):
        start.wait(30)
        return stores[number % len(stores)].claims.claim(session_id, 1, f"w{number}")

    with ThreadPoolExecutor(racers) as pool:
        return list(pool.map(one, range(racers)))


def winners(results):
    return [result for result in results if isinstance(result, Held)]


@pytest.mark.parametrize("transport", ["embedded", "http"])
def test_of_racing_claims_exactly_one_is_held_and_the_others_name_it(open_on, database_name, transport):
    stores = [open_on(transport, database_name) for _ in range(2)]
    for number in range(RACES):
        results = race(stores, f"s{number}")
        held = winners(results)
        assert len(held) == 1
        assert {result.by.claim_id for result in results if isinstance(result, Lost)} == {held[0].claim_id}
        assert not [result for result in results if isinstance(result, Burnt)]


@pytest.mark.long
@pytest.mark.parametrize("transport", ["embedded", "http"])
def test_of_two_hundred_races_each_has_one_winner(open_on, database_name, transport):
    stores = [open_on(transport, database_name) for _ in range(2)]
    assert [len(winners(race(stores, f"s{number}"))) for number in range(200)] == [1] * 200


def test_without_the_window_rows_of_many_racers_stand_and_only_the_block_number_decides(
    open_on, database_name, monkeypatch
):
    stores = [open_on("embedded", database_name) for _ in range(2)]
    stores[0]._database.command("ALTER TABLE claims MODIFY SETTING non_replicated_deduplication_window = 0")
    # Two exclusions stand one behind the other: the store keeps one block, and the read-back takes the first.
    # A read-back that trusts the first one only ("a row of mine is there") shows what the window is for.
    double = 0
    for number in range(RACES):
        race(stores, f"s{number}")
        rows = stores[0]._database.query(
            "SELECT uniqExact(worker_id) AS n FROM claims WHERE session_id = {s:String}", {"s": f"s{number}"}
        )
        double += rows[0]["n"] > 1
    assert double == RACES


def test_a_claim_that_is_sent_again_is_still_the_same_claim(store):
    attempt = Attempt.new("s1", epoch=1, worker_id="w1")
    assert [store.claims.carry_out(attempt) for _ in range(3)] == [
        Held(1, attempt.claim_id, attempt.first_sent_boot_s)
    ] * 3
    assert store.claims.read("s1") == [Claim("s1", 1, "w1", attempt.claim_id)]


def test_a_lost_reply_to_a_claim_is_sent_again_and_changes_nothing(open_on, database_name, proxy):
    store = open_on("http", database_name, url=proxy.url)
    proxy.lose_replies = 1
    sent = len(proxy.inserts)
    assert isinstance(store.claims.claim("s1", 1, "w1"), Held)
    assert proxy.inserts[sent] == proxy.inserts[sent + 1]
    assert len(proxy.inserts) == sent + 2
    assert len(store._database.query("SELECT * FROM claims")) == 1


def test_a_higher_epoch_that_stands_loses_an_older_claim(store):
    attempt = Attempt.new("s1", epoch=1, worker_id="w1")
    store.claims.carry_out(attempt)
    second = store.claims.claim("s1", 2, "w2")
    assert isinstance(second, Held)
    assert store.claims.carry_out(attempt) == Lost(Claim("s1", 2, "w2", second.claim_id))
    assert store.claims.highest("s1") == 2


def test_a_claim_of_epoch_one_loses_to_the_submitter_s_own(store):
    store.sessions.submit(Session("s1", "c", "b", {}, worker_id="w0")).result(10)
    assert store.claims.claim("s1", 1, "w1") == Lost(Claim("s1", 1, "w0", ""))
    assert store.claims.highest("s1") == 1


def test_a_burnt_token_is_told_and_the_next_epoch_can_be_claimed(store):
    # What a crash of the server between token and rows leaves: the token is known, and no row is there.
    store.claims.claim("s1", 1, "w1")
    store._database.command("TRUNCATE TABLE claims")
    store._database.insert(
        "claims", [{"session_id": "x", "epoch": 1, "worker_id": "w", "claim_id": "c"}], token="s2:1"
    )
    assert store.claims.claim("s2", 1, "w1") == Burnt(1)
    assert store.claims.highest("s2") == 0
    assert isinstance(store.claims.claim("s2", 2, "w1"), Held)


def test_who_was_first_survives_a_merge(store):
    store._database.command("ALTER TABLE claims MODIFY SETTING non_replicated_deduplication_window = 0")
    held = store.claims.claim("s1", 1, "w1")
    for number in range(5):
        assert isinstance(store.claims.claim("s1", 1, f"v{number}"), Lost)
    store._database.command("OPTIMIZE TABLE claims FINAL")
    assert store.claims.read("s1") == [Claim("s1", 1, "w1", held.claim_id)]


RACER = """
import sys
from windlass.config import Settings
from windlass.store import Held, open_store
with open_store(Settings(clickhouse_url=sys.argv[1], fsync=False)) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[3])):
        result = store.claims.claim(f"s{number}", 1, sys.argv[2])
        print(number if isinstance(result, Held) else -1, flush=True)
"""


def test_of_racing_processes_one_holds_each_session(holder, database_name):
    url = f"{holder.holder_url.rsplit('/', 1)[0]}/{database_name}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, url, f"w{number}", "25"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    held = [int(line) for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert sorted(number for number in held if number >= 0) == list(range(25))
