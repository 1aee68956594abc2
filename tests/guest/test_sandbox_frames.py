import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.sandbox.frames import FRAME_BYTES_MAX, FrameError, FrameReader, pack

# --- frames

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=20)
@given(st.lists(st.dictionaries(st.text(), JSON), max_size=4))
def test_frames_come_out_as_they_went_in(messages):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for message in messages:
            ours.sendall(pack(message))
        ours.shutdown(socket.SHUT_WR)
        reader = FrameReader(theirs)
        assert [reader.read() for _ in messages] == messages
        with pytest.raises(EOFError):
            reader.read()


@pytest.mark.parametrize(
    "data",
    [
        (FRAME_BYTES_MAX + 1).to_bytes(8, "big"),
        b"\0" * 7 + b"\2[]",
        b"\0" * 7 + b"\2{]",
        b"\0" * 7 + b"\1\xff",
    ],
)
def test_what_is_no_frame_is_refused(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        with pytest.raises(FrameError):
            FrameReader(theirs).read()
