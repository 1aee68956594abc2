"""Tables and texts: they fit, they line up, and no value breaks them."""

import json
import math
import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.cli.report import print_value
from windlass.cli.show import (
    as_json,
    cell,
    cells,
    cut,
    finite,
    print_table,
    printable,
    seconds,
    size,
    table_lines,
)

VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.lists(st.text(), max_size=3)
)


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            st.lists(st.text(max_size=30), min_size=n, max_size=n),
            st.lists(st.lists(VALUES, min_size=n, max_size=n), max_size=5),
        )
    ),
    st.integers(20, 200),
)
def test_no_line_of_a_table_is_wider_than_the_terminal(table, width):
    columns, rows = table
    lines, left_out = table_lines(columns, rows, width=width)
    assert len(lines) == 2 + len(rows)
    assert all(cells(line) <= width for line in lines)
    assert not {unicodedata.category(c) for line in lines for c in line} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(left_out) < len(columns)


def test_columns_line_up_whatever_the_width_of_their_characters():
    lines, _ = table_lines(["name", "n"], [["漢字", 1], ["a", 10], ["é", None]], width=80)
    assert {cells(line) for line in lines} == {len("name     n")}


def test_numbers_stand_to_the_right_and_texts_to_the_left():
    lines, _ = table_lines(["n", "word"], [[5, "five"], [500, "x"], [None, "none"]], width=80)
    assert lines == ["   n  word", "----  ----", "   5  five", " 500  x", "NULL  none"]


def test_a_wide_table_names_the_columns_it_has_no_room_for():
    columns = [f"column_{n}" for n in range(30)]
    lines, left_out = table_lines(columns, [["some text here"] * 30], width=80)
    assert all(len(line) <= 80 for line in lines)
    assert left_out
    assert list(left_out) == columns[-len(left_out) :]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "true"),
        (0.1 + 0.2, "0.3"),
        (1234567.89, "1234567.89"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ([1, None], "[1, null]"),
        (Decimal("1.50"), "1.50"),
        (date(2012, 1, 2), "2012-01-02"),
        (datetime(2012, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), "2012-01-02 03:04:05.678Z"),
        (datetime(2012, 1, 2, 3, 4, 5), "2012-01-02 03:04:05"),
    ],
)
def test_a_cell_is_one_line_that_cannot_steer_the_terminal(value, text):
    assert cell(value) == text


@given(st.text(), st.integers(1, 50))
def test_a_cut_text_fits(text, width):
    assert cells(cut(text, width)) <= width


@given(st.text())
def test_what_is_printable_is_left_alone(text):
    shown = printable(text, keep="\n\t")
    assert shown == text or any(not c.isprintable() and c not in "\n\t" for c in text)


@given(
    st.recursive(
        st.none() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_finite_values_are_json_for_everybody(value):
    json.loads(as_json(finite(value)), parse_constant=pytest.fail)


def test_how_many_rows_are_not_shown_is_said(capsys):
    print_table(["n"], [(n,) for n in range(100)], rows_max=2)
    print_table(["n"], [(n,) for n in range(20)], rows_max=10, total=1_254)
    print_table(["n"], [(n,) for n in range(2)], rows_max=2)
    out = capsys.readouterr().out
    assert "(… more rows)" in out
    assert "(… 1,244 more rows)" in out
    assert out.endswith("0\n1\n")


def test_a_result_is_shown_as_what_it_is(capsys):
    table = {"rows": [{"a": 1, "b": None}], "columns": ["a", "b"], "row_count": 1}
    nothing = {"rows": [], "columns": [], "row_count": 0}  # of statements that return nothing
    for value in (table, nothing, "a report\n", {"x": [1]}, None, 0):
        print_value(value)
    assert capsys.readouterr().out == 'a  b\n-  ----\n1  NULL\na report\n{\n  "x": [\n    1\n  ]\n}\n0\n'


def test_a_long_json_result_is_cut_and_says_so(capsys):
    print_value(list(range(1_000)))
    assert capsys.readouterr().out.endswith("more lines; -o json shows all)\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "12 ms"), (3.44, "3.4 s"), (59.99, "60.0 s"), (125, "2 min 5 s"), (7500, "2 h 5 min")],
)
def test_a_duration_reads_well(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 B"), (2048, "2.0 KiB"), (5 << 40, "5,120.0 GiB")])
def test_a_size_reads_well(value, text):
    assert size(value) == text
