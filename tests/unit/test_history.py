"""The laws of `windlass.protocol.history`: rows of many epochs tell one history."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from windlass.protocol.history import read_history
from windlass.records import Checkpoint, RowKind


def row(epoch, seq, *, kind=RowKind.PHASE):
    return Checkpoint(session_id="s", epoch=epoch, seq=seq, kind=kind, phase=f"{epoch}.{seq}")


def takeover(epoch, *, base=(0, 0)):
    return replace(row(epoch, 0, kind=RowKind.TAKEOVER), base_epoch=base[0], base_seq=base[1])


def places(rows):
    return [(found.epoch, found.seq) for found in rows]


def test_no_rows_tell_an_empty_history():
    history = read_history([])
    assert (history.rows, history.epoch, history.tip, history.last, history.end) == (
        (),
        0,
        (0, 0),
        None,
        None,
    )


def test_the_rows_of_one_epoch_come_in_the_order_of_their_seq():
    history = read_history([row(1, 2), row(1, 1), takeover(1)])
    assert places(history.rows) == [(1, 1), (1, 2)]
    assert history.tip == (1, 2)


def test_the_example_of_the_docstring():
    rows = [
        takeover(1),
        *(row(1, seq) for seq in (1, 2, 3, 4)),
        takeover(2, base=(1, 3)),
        row(2, 1),
        row(2, 2),
    ]
    history = read_history(rows)
    assert places(history.rows) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    assert places(history.takeovers) == [(1, 0), (2, 0)]
    assert history.tip == (2, 2)


def test_an_epoch_without_its_takeover_row_does_not_count():
    history = read_history([takeover(1), row(1, 1), row(2, 1)])
    assert places(history.rows) == [(1, 1)]
    assert history.epoch == 1


def test_rows_count_up_to_the_first_missing_seq():
    history = read_history([takeover(1), row(1, 1), row(1, 3), row(1, 4)])
    assert places(history.rows) == [(1, 1)]
    assert history.tip == (1, 1)


def test_an_epoch_of_a_takeover_row_alone_has_its_takeover_row_as_tip():
    history = read_history([takeover(1), row(1, 1), takeover(2, base=(1, 1))])
    assert places(history.rows) == [(1, 1)]
    assert history.tip == (2, 0)


def test_an_epoch_that_nobody_adopted_does_not_exist():
    history = read_history(
        [takeover(1), row(1, 1), takeover(2, base=(1, 1)), row(2, 1), takeover(3, base=(1, 1)), row(3, 1)]
    )
    assert places(history.rows) == [(1, 1), (3, 1)]


def test_a_terminal_row_off_the_path_does_not_end_the_session():
    end = row(1, 2, kind=RowKind.END)
    history = read_history([takeover(1), row(1, 1), end, takeover(2, base=(1, 1)), row(2, 1)])
    assert history.end is None
    assert history.last == row(2, 1)


def test_a_terminal_row_on_the_path_ends_the_session():
    end = row(1, 2, kind=RowKind.END)
    assert read_history([takeover(1), row(1, 1), end]).end == end


def test_an_adopted_terminal_row_still_ends_the_session_under_a_later_epoch():
    end = row(1, 1, kind=RowKind.END)
    assert read_history([takeover(1), end, takeover(2, base=(1, 1))]).end == end


def test_copies_of_a_row_count_once():
    rows = [takeover(1), row(1, 1), row(1, 1), takeover(1), row(1, 2), row(1, 1)]
    assert places(read_history(rows).rows) == [(1, 1), (1, 2)]


def test_a_late_row_of_a_fenced_epoch_changes_nothing():
    rows = [takeover(1), row(1, 1), takeover(2, base=(1, 1)), row(2, 1)]
    assert read_history([*rows, row(1, 2), row(1, 3)]) == read_history(rows)


def test_a_late_row_of_the_newest_epoch_extends_the_history():
    rows = [takeover(1), row(1, 2)]
    assert places(read_history(rows).rows) == []
    assert places(read_history([*rows, row(1, 1)]).rows) == [(1, 1), (1, 2)]


def test_a_history_is_settled_only_under_the_highest_claim():
    history = read_history([takeover(1), row(1, 1)])
    assert history.is_settled(1)
    assert not history.is_settled(2)


@st.composite
def stories(draw):
    """The rows of up to five epochs, each adopting some place of an earlier one; some rows never arrived."""
    rows, sizes = [], {}
    for epoch in range(1, draw(st.integers(1, 5)) + 1):
        base = (0, 0)
        if sizes and draw(st.booleans()):
            # An owner adopts an epoch's takeover row or a later row that it has read, so that row is there.
            base_epoch = draw(st.sampled_from(sorted(sizes)))
            base = (base_epoch, draw(st.integers(0, sizes[base_epoch])))
        stands = draw(st.booleans()) or epoch == 1
        written = draw(st.integers(0, 5))
        lost = draw(st.sets(st.integers(1, 5), max_size=2))
        if stands:
            rows.append(takeover(epoch, base=base))
            sizes[epoch] = min([seq for seq in lost if seq <= written], default=written + 1) - 1
        rows.extend(row(epoch, seq) for seq in range(1, written + 1) if seq not in lost)
    copies = draw(st.lists(st.sampled_from(rows), max_size=4))
    return draw(st.permutations(rows + copies))


def model(rows):
    """The same law the other way round: walk up from each epoch and keep what the highest one reaches."""
    present = {(found.epoch, found.seq): found for found in rows}
    paths = {0: []}
    for epoch in sorted({epoch for epoch, seq in present if seq == 0}):
        start = present[epoch, 0]
        path = [found for found in paths[start.base_epoch] if found.epoch != start.base_epoch]
        path += [found for found in paths[start.base_epoch] if found.epoch == start.base_epoch][
            : start.base_seq
        ]
        seq = 1
        while (epoch, seq) in present:
            path.append(present[epoch, seq])
            seq += 1
        paths[epoch] = path
    return paths[max(paths)]


@given(stories())
def test_a_history_is_what_a_naive_model_says(rows):
    history = read_history(rows)
    assert list(history.rows) == model(rows)
    assert history.epoch == max(found.epoch for found in rows if found.seq == 0)


@given(stories(), st.randoms())
def test_the_order_in_which_rows_arrive_changes_nothing(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert read_history(shuffled) == read_history(rows)


@given(stories())
def test_rows_that_do_not_count_can_be_forgotten(rows):
    history = read_history(rows)
    assert read_history([*history.takeovers, *history.rows]) == history


@given(stories(), st.lists(st.builds(row, st.integers(1, 5), st.integers(1, 8))))
def test_what_a_takeover_adopted_stays_whatever_lands_later(rows, late):
    before = read_history(rows)
    after = read_history([*rows, takeover(6, base=before.tip), *late])
    assert (after.rows, after.tip) == (before.rows, (6, 0))
