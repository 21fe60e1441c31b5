import math

import pytest

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.study.cells import (
    Cell,
    Column,
    Scale,
    Table,
    interval_cell,
    markdown_table,
    number_cell,
    read_cell,
    text_table,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", 0.5),
        ("-1,024", -1024),
        ("+1e-3", 0.001),
        ("98 s", 98),
        ("10 to 12 h", None),
        ("clip2latent", None),
        ("4 steps", None),
        ("", None),
    ],
)
def test_a_text_that_is_a_number_has_its_value(text, value):
    assert read_cell(text) == Cell(text, value=value)


def test_a_cell_says_its_number_and_how_sure_it_is():
    cell = interval_cell(Interval(0.5, 0.25, 0.75), "+.1%")
    assert str(cell) == "+50.0% [+25.0%, +75.0%]"
    assert (cell.value, cell.low, cell.high) == (0.5, 0.25, 0.75)
    assert str(number_cell(1234, ",.0f", "(2 runs)")) == "1,234 (2 runs)"
    assert number_cell(1234, ",.0f").value == 1234


def make_table(*intervals, has_zero=False):
    rows = [[Cell("a"), interval_cell(Interval(*one), ".3f")] for one in intervals]
    return Table("", [Column("row"), Column("x", has_zero=has_zero)], rows)


def test_a_scale_holds_all_intervals_of_its_column():
    scale = make_table((2, 1, 3), (4, 3, 5)).find_scale(1)
    assert scale == Scale(1, 5)
    assert [scale.place(value) for value in (1, 2, 5, 9)] == [0, 0.25, 1, 1]
    assert make_table((2, 1, 3), has_zero=True).find_scale(1) == Scale(0, 3)
    assert make_table((-2, -3, -1), has_zero=True).find_scale(1) == Scale(-3, 0)


def test_ends_that_are_infinite_or_none_are_passed_over():
    scale = make_table((2, -math.inf, math.inf), (3, 1, 4)).find_scale(1)
    assert scale == Scale(1, 4)
    assert scale.place(math.inf) == 1
    assert scale.place(-math.inf) == 0
    assert make_table((2, 2, 2)).find_scale(1) is None
    assert make_table((2, 1, 3)).find_scale(0) is None
    assert text_table("", ["a", "b"], [["1", "2"], ["3", "4"]]).find_scale(1) is None


def test_a_wide_range_of_positive_values_goes_in_powers():
    scale = make_table((1, 1, 10), (100, 100, 100)).find_scale(1)
    assert scale == Scale(1, 100, is_log=True)
    assert [scale.place(value) for value in (-1, 1, 10, 100)] == [0, 0, 0.5, 1]
    assert not make_table((0, 0, 10), (100, 100, 100)).find_scale(1).is_log


def test_markdown_has_a_row_for_each_row_of_cells():
    table = text_table("Not shown", ["a", "b"], [["1", ""], ["2", "3|4"]])
    assert markdown_table(table) == (
        "| a | b |\n| --- | --- |\n| 1 |  |\n| 2 | 3/4 |\n"
    )
