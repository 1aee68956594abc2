import hashlib
import os
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windlass.errors import AuthorError, NotFound
from windlass.records import Checkpoint, LogLine, RowKind, Session, Status
from windlass.store.workers import Worker

# Text as an author may write it. A NUL cannot be bound as a parameter of a query, so ids have none.
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
ids = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20)


def a_session(session_id="s1", **changes):
    return Session(session_id=session_id, cascade_id="c", bundle="b" * 64, input={"x": 1}, **changes)


def test_a_session_comes_back_as_it_was_submitted(store):
    session = a_session(
        grants=("/a b", "/ü"),
        priority=-3,
        tags=("x", "it's"),
        parent_session_id="p",
        parent_phase="ph",
        depth=2,
        idempotency_key="k",
        requested_by="me",
        worker_id="w1",
        created_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    )
    store.sessions.submit(session).result(10)
    found = store.sessions.get("s1")
    assert found == Session(
        **{name: getattr(session, name) for name in Session.__slots__ if name not in ("grants", "tags")},
        grants=["/a b", "/ü"],
        tags=["x", "it's"],
    )


def test_a_session_that_nobody_submitted_is_none(store):
    assert store.sessions.get("nobody") is None
    assert store.snapshot("nobody") is None


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids, texts, st.dictionaries(texts, st.integers() | texts, max_size=3))
def test_any_text_survives_the_store(store, session_id, phase, body):
    row = Checkpoint(session_id, 1, 1, RowKind.PHASE, phase=phase, visit=1, body=body)
    store.checkpoints.append(row).result(10)
    found = store.checkpoints.read(session_id)
    assert (found[0].session_id, found[0].phase) == (session_id, phase)


def test_values_of_any_size_survive_in_a_checkpoint(store):
    body = {"big": 2**200, "text": "ü€😀\ud800\r\n\t\\'\"" * 50_000, "float": 0.1, "deep": [[[{"a": None}]]]}
    store.checkpoints.append(Checkpoint("s1", 1, 1, RowKind.PHASE, body=body)).result(30)
    assert store.checkpoints.read("s1")[0].body == body


def test_a_body_that_json_has_no_form_for_is_refused_to_its_author(store):
    with pytest.raises(AuthorError):
        store.checkpoints.append(Checkpoint("s1", 1, 1, RowKind.PHASE, body={"x": float("nan")}))


def test_checkpoints_come_in_order_and_each_once_however_often_they_were_sent(store):
    rows = [Checkpoint("s1", epoch, seq, RowKind.PHASE) for epoch, seq in [(2, 0), (1, 1), (1, 0), (1, 1)]]
    for row in rows:
        store.checkpoints.append(row).result(10)
    store.checkpoints.append_many(rows).result(10)
    assert [(row.epoch, row.seq) for row in store.checkpoints.read("s1")] == [(1, 0), (1, 1), (2, 0)]


def test_a_snapshot_has_rows_and_claims_and_the_claim_that_the_session_itself_carries(store):
    store.sessions.submit(a_session(worker_id="w1")).result(10)
    store.checkpoints.append(Checkpoint("s1", 1, 0, RowKind.TAKEOVER)).result(10)
    store.claims.claim("s1", 2, "w2")
    snapshot = store.snapshot("s1")
    assert [(claim.epoch, claim.worker_id) for claim in snapshot.claims] == [(1, "w1"), (2, "w2")]
    assert (len(snapshot.rows), snapshot.highest_claim) == (1, 2)


def test_a_log_s_tail_goes_on_after_the_line_that_was_seen_last(store):
    for epoch, seq in [(1, 1), (1, 2), (2, 1), (1, 2)]:
        store.logs.append(LogLine("s1", "c", epoch, seq, "log", message=f"{epoch}.{seq}", data={"ü": [1]}))
    assert store.flush(limit_s=10)
    assert [line.message for line in store.logs.tail("s1")] == ["1.1", "1.2", "2.1"]
    assert [line.message for line in store.logs.tail("s1", after=(1, 2))] == ["2.1"]
    assert store.logs.tail("s1", after=(2, 1)) == []
    assert store.logs.tail("s1", limit=1)[0].data == {"ü": [1]}


def test_of_two_submissions_of_one_id_the_first_stands(store):
    first = store.sessions.submit_once(a_session(requested_by="a"))
    second = store.sessions.submit_once(a_session(requested_by="b"))
    assert (first.requested_by, second.requested_by) == ("a", "a")


def test_of_two_submissions_under_one_key_the_first_stands_whatever_their_ids(store):
    first = store.sessions.submit_once(a_session("s1", idempotency_key="k"))
    second = store.sessions.submit_once(a_session("s2", idempotency_key="k"))
    assert (first.session_id, second.session_id) == ("s1", "s1")
    assert store.sessions.get("s2") is None


def test_pages_of_sessions_are_newest_first_and_leave_none_out(store):
    for number in range(7):
        when = datetime(2026, 1, 1, 0, 0, number // 2, tzinfo=UTC)
        store.sessions.submit(a_session(f"s{number}", created_at=when)).result(10)
    seen, cursor = [], ""
    for _ in range(4):
        page = store.sessions.list(limit=2, cursor=cursor)
        seen += [item.session_id for item in page.items]
        cursor = page.next_cursor
    assert seen == ["s6", "s5", "s4", "s3", "s2", "s1", "s0"]
    assert cursor == ""


def test_a_list_says_what_each_session_is_doing(store):
    ends = {
        "done": ("end", {"status": "completed"}),
        "bad": ("end", {"status": "failed"}),
        "asleep": ("suspend", {}),
    }
    for session_id, (kind, body) in ends.items():
        store.sessions.submit(a_session(session_id)).result(10)
        store.checkpoints.append_many(
            [
                Checkpoint(session_id, 1, 0, RowKind.TAKEOVER),
                Checkpoint(session_id, 1, 1, RowKind(kind), body=body),
            ]
        ).result(10)
    store.sessions.submit(a_session("new")).result(10)
    store.sessions.submit(a_session("owned", worker_id="w")).result(10)
    found = {item.session_id: item.status for item in store.sessions.list().items}
    assert found == {
        "done": Status.COMPLETED,
        "bad": Status.FAILED,
        "asleep": Status.WAITING,
        "new": Status.QUEUED,
        "owned": Status.RUNNING,
    }
    assert [item.session_id for item in store.sessions.list(status=Status.FAILED).items] == ["bad"]
    assert store.sessions.list(cascade_id="other").items == []


def test_a_cursor_that_is_none_is_refused(store):
    with pytest.raises(AuthorError):
        store.sessions.list(cursor="nonsense")


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 9 * 1024 * 1024 + 17])
def test_an_artifact_of_any_size_comes_back_whole(store, tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "in").write_bytes(data)
    name = store.artifacts.put(tmp_path / "in")
    assert name == hashlib.sha256(data).hexdigest() == store.artifacts.put(data)
    store.artifacts.get(name, into=tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data


def test_an_artifact_that_nobody_put_is_not_found_and_leaves_no_file(store, tmp_path):
    with pytest.raises(NotFound):
        store.artifacts.get("0" * 64, into=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_kept_once_and_comes_back_whole(store):
    data = os.urandom(2 * 1024 * 1024 + 5)
    for _ in range(2):
        store.bundles.put("h", cascade_id="c", data=data, entry="c.yaml")
    assert (store.bundles.get("h"), store.bundles.entry("h")) == (data, "c.yaml")
    assert store.bundles.get("other") is None
    rows = store._database.query("SELECT count() AS n FROM cascade_versions")
    assert rows[0]["n"] == 3


def test_a_worker_with_an_obituary_stays_dead(store):
    store.workers.started("w1", host="h", pid=7, tags=["gpu"])
    store.workers.started("w2")
    assert store.workers.dead_ids(["w1", "w2"]) == set()
    store.workers.obituary("w1", "reaped")
    store.workers.started("w1")
    store.workers.stopped("w1")
    assert store.workers.dead_ids(["w1", "w2", "it's"]) == {"w1"}
    found = store.workers.get("w1")
    assert isinstance(found, Worker)
    assert (found.event, found.reason) == ("obituary", "reaped")
    assert store.workers.get("w3") is None


def test_signals_of_many_sessions_come_in_one_read_and_a_repeated_one_counts_once(store):
    first = store.signals.send("s1", name="cancel", payload_value={"why": ["ü", None]}, sent_by="me")
    store.signals.send("s1", name="cancel", payload_value={"why": ["ü", None]}, sent_by="me", signal_id=first)
    store.signals.send("s2", name="answer", payload_value=3)
    store.signals.send("s3", name="answer")
    found = store.signals.unhandled(["s2", "s1"])
    assert [(signal.session_id, signal.name, signal.payload) for signal in found] == [
        ("s1", "cancel", {"why": ["ü", None]}),
        ("s2", "answer", 3),
    ]


def test_describe_names_the_address_without_a_password(store):
    facts = store.describe()
    assert facts["tables"]["checkpoints"] == {"rows": 0, "bytes": 0}
    password = store._database.reach.target.password
    assert not password or password not in str(facts)
