import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convviz.core.numbers import (
    LARGEST,
    NumberError,
    format_number,
    format_table,
    grouped,
    parse_number,
    parse_table,
)

numbers = st.floats(-LARGEST, LARGEST)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (3, "3"),
        (-2.5, "−2.5"),
        (0.5, "0.5"),
        (1 / 3, "0.333"),
        (0.0625, "0.0625"),
        (2 / 3e4, "6.67e−5"),
        (0.99999, "1"),
        (4 / 3, "1.333"),
        (99.996, "100"),
        (9999.96, "10000"),
        (12345, "12345"),
        (12345.678, "12346"),
        (999999.7, "1e6"),
        (-1234567, "−1.235e6"),
        (1e7, "1e7"),
        (1.7e308, "1.7e308"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "NaN"),
    ],
)
def test_format_number(value: float, text: str) -> None:
    assert format_number(value) == text
    assert format_number(np.float64(value)) == text


def test_format_number_with_other_digits() -> None:
    assert [format_number(math.pi, digits) for digits in (2, 3, 6)] == ["3.1", "3.14", "3.14159"]
    assert [format_number(-1 / 3, digits) for digits in (2, 3, 6)] == ["−0.3", "−0.33", "−0.33333"]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (999, "999"), (1000, "1\u202f000"), (138357544, "138\u202f357\u202f544")]
)
def test_thousands_stand_apart(number: int, text: str) -> None:
    assert grouped(number) == text


@settings(max_examples=200)
@given(numbers)
def test_format_number_is_short_and_reads_back_close(value: float) -> None:
    text = format_number(value)
    assert len(text) <= len("−1.234e−308")
    assert "-" not in text
    if abs(value) <= 0.999 * LARGEST:
        assert parse_number(text) == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        (" −2.5\t", -2.5),
        ("-2.5", -2.5),
        ("+4", 4),
        ("2,5", 2.5),
        (".5", 0.5),
        ("5.", 5),
        ("2e-3", 0.002),
        ("2E−3", 0.002),
        ("1/3", 1 / 3),
        ("−1 / 4", -0.25),
        ("1\x1f/2", 0.5),
        ("1e12", 1e12),
    ],
)
def test_parse_number(text: str, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["abc", "nan", "NaN", "inf", "−∞", "1e", ".", "1.2,3", "1,234.5", "1_000", "1 000"])
@pytest.mark.parametrize("form", ["{}", "{}/2", "2/{}"])
def test_parse_number_refuses_what_is_no_number(text: str, form: str) -> None:
    text = form.format(text)
    with pytest.raises(NumberError, match=f"“{text}” is not a number. Write a number such as"):
        parse_number(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The cell is empty. Write"),
        (" \n", "The cell is empty. Write"),
        ("1/0", "“1/0” divides by zero"),
        ("1.1e12", "“1.1e12” is too large. Numbers from −1e12 to 1e12"),
        ("1/1e-13", "too large"),
        ("1e999", "too large"),
        ("1/2/3", "not a number"),
        ("9" * 5000, "“99999999999999999999999…” is too large"),
    ],
)
def test_parse_number_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(NumberError, match=message):
        parse_number(text)


@settings(max_examples=200)
@given(st.text())
def test_any_text_is_a_finite_number_or_a_number_error(text: str) -> None:
    try:
        value = parse_number(text)
    except NumberError:
        return
    assert abs(value) <= LARGEST


def test_format_table_is_plain_ascii_with_all_digits() -> None:
    assert format_table(np.array([[1, -2.5], [0.1, 1e-20]])) == "1\t-2.5\n0.1\t1e-20"
    assert format_table(np.array([[1, 2]])) == "1\t2"


@settings(max_examples=100)
@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=numbers))
def test_tables_survive_the_clipboard_exactly(table: np.ndarray) -> None:
    text = format_table(table)
    for variant in (text, text + "\r\n", text.replace("\n", "\r\n"), text.replace("\t", ";"), text.replace("\t", " ")):
        assert np.array_equal(parse_table(variant, (6, 6)), table)


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("7", [[7]]),
        ("1,5\t2\n3\t4", [[1.5, 2], [3, 4]]),
        ("1,5;2\n3;4", [[1.5, 2], [3, 4]]),
        ("1, 2\n3, 4", [[1, 2], [3, 4]]),
        ("  1  2 \n 3  4", [[1, 2], [3, 4]]),
        ("1\n2\n\n", [[1], [2]]),
        ('"1,5"\t"2"\r\n3\t−4\r\n', [[1.5, 2], [3, -4]]),
        ('"1,5","2"\n3,4', [[1.5, 2], [3, 4]]),
        ("1/2\t1/4", [[0.5, 0.25]]),
    ],
)
def test_parse_table_reads_what_spreadsheets_and_people_write(text: str, table: list[list[float]]) -> None:
    assert parse_table(text, (3, 3)).tolist() == table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There are no numbers. Rows of numbers separated by tabs"),
        (" \r\n\r\n", "There are no numbers"),
        ("\x1f", "There are no numbers"),
        ("1\t2\n3", r"Row 1 \(rows count from 0\) has length 1, row 0 has length 2. Rows of one length are accepted"),
        ("1\t2\n\n3\t4", "Row 1 .* has length 0"),
        ("1\t2\n3\t", r"Row 1, column 1 \(both count from 0\): The cell is empty"),
        ("1\t2\t", "Row 0, column 2 .*empty"),
        ("1\t2\n3\tx", "Row 1, column 1 .*“x” is not a number. Write a number such as"),
        ("1\tnan", "Row 0, column 1 .*“nan” is not a number"),
        ("1\t1e13", "Row 0, column 1 .*“1e13” is too large"),
        ('"1\n2"', "“1 2” is not a number"),
        ("1\n2\n3\n4", "The table is 4×1 .* Up to 3×3 is accepted"),
        ("1 2 3 4", "The table is 1×4 .* Up to 3×3 is accepted"),
        ("1" * 200_000, "not a table of numbers"),
    ],
)
def test_parse_table_says_what_is_wrong_and_where(text: str, message: str) -> None:
    with pytest.raises(NumberError, match=message):
        parse_table(text, (3, 3))


@settings(max_examples=200)
@given(st.text(st.sampled_from("0123456789.,;\t\r\n \"'-−/eax\0"), max_size=30) | st.text())
def test_any_text_is_a_table_or_a_number_error(text: str) -> None:
    try:
        table = parse_table(text, (4, 4))
    except NumberError:
        return
    assert 1 <= table.shape[0] <= 4
    assert 1 <= table.shape[1] <= 4
    assert np.isfinite(table).all()
