import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convviz.core.plain_text import MOST_LENGTH, shortened, visible

HIDDEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
ISOLATES = "\u2066\u2069"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("layer1.0.conv1.weight", "layer1.0.conv1.weight"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("two\nlines\0", "two‹U+000A›lines‹U+0000›"),
        ("evil\u202egnp.weight", "evil‹U+202E›gnp.weight"),
        ("卷积.weight", "卷积.weight"),
        ("שלום.0.weight", "\u2066שלום\u2069.0.weight"),
        ("\ud800", "‹U+D800›"),
        ("", ""),
    ],
)
def test_a_name_is_shown_as_it_is_and_nothing_of_it_is_hidden(name: str, shown: str) -> None:
    assert visible(name) == shown


@given(st.text(st.characters(codec=None, categories=None), max_size=60))
def test_nothing_invisible_is_left(name: str) -> None:
    shown = visible(name)
    assert not any(unicodedata.category(each) in HIDDEN for each in shown if each not in ISOLATES)
    assert all(part.strip(ISOLATES) in {part, part[1:-1]} for part in shown.split("."))


def test_a_long_name_ends_with_an_ellipsis() -> None:
    assert visible("x" * MOST_LENGTH) == "x" * MOST_LENGTH
    assert visible("x" * 10**6) == "x" * (MOST_LENGTH - 1) + "…"


@given(name=st.text(), most=st.integers(3, 50))
def test_a_long_name_keeps_its_ends(name: str, most: int) -> None:
    short = shortened(name, most)
    assert len(short) == min(len(name), most)
    if short != name:
        start, end = short[: most // 2], short[most // 2 + 1 :]
        assert short[most // 2] == "…"
        assert name.startswith(start)
        assert name.endswith(end)
        assert end
