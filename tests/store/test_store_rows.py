import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import AuthorError
from windlass.store.rows import decode, encode_row, from_payload, loose_payload, moment, payload

any_text = st.text(st.characters(exclude_categories=()))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_any_json_value_comes_back_from_its_payload_the_same(value):
    assert from_payload(payload(value)) == value


@given(json_values)
def test_a_payload_is_one_line_of_utf8_in_a_row(value):
    line = encode_row({"body": payload(value)})
    assert line.count(b"\n") == 1
    assert from_payload(decode(line)[0]["body"]) == value


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": {"b": -math.inf}}])
def test_what_json_has_no_number_for_is_refused_in_a_checkpoint_and_null_in_a_log(value):
    with pytest.raises(AuthorError):
        payload(value)
    assert "null" in loose_payload(value)


def test_a_log_s_payload_takes_any_object_as_its_text():
    assert json.loads(loose_payload({"at": datetime(2026, 1, 2, tzinfo=UTC), 3: (1,)})) == {
        "at": "2026-01-02 00:00:00+00:00",
        "3": [1],
    }


def test_a_lone_surrogate_in_a_plain_column_becomes_the_replacement_character():
    assert decode(encode_row({"message": "a\ud800b"})) == [{"message": "a\ufffdb"}]


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)), st.integers(-12, 12))
def test_a_moment_in_any_zone_is_written_in_utc(when, hours):
    when = when.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert moment(decode(encode_row({"at": when}))[0]["at"]) == when
