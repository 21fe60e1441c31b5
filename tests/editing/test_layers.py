import pytest
from editing.linear_world import LinearGenerator

from clip2latent_kedro.editing.layers import layer_groups, read_layers
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity


@pytest.mark.parametrize(
    ("num_ws", "ends"),
    [(18, (4, 8)), (16, (4, 8)), (14, (4, 8)), (10, (4, 8)), (8, (2, 4)), (3, (1, 2))],
)
def test_groups_end_where_a_resolution_does(num_ws, ends):
    groups = layer_groups(num_ws)
    rows = list(range(num_ws))
    assert groups == {
        "coarse": rows[: ends[0]],
        "middle": rows[ends[0] : ends[1]],
        "fine": rows[ends[1] :],
    }


@pytest.mark.parametrize("num_ws", range(3, 40))
@pytest.mark.parametrize("by", ["resolution", "depth"])
def test_each_row_is_in_one_group_and_no_group_is_empty(num_ws, by):
    groups = layer_groups(num_ws, by=by)
    assert [row for rows in groups.values() for row in rows] == list(range(num_ws))
    assert all(groups.values())


def test_a_stylegan3_is_divided_by_depth():
    generator = LinearGenerator()
    generator.num_ws = 16
    assert read_layers("middle", generator) == [4, 5, 6, 7]
    for name in ("stylegan3", "stylegan3/class-3"):
        generator.identity = Identity(name, "aa")
        assert read_layers("coarse", generator) == [0, 1, 2, 3]
        assert read_layers("middle", generator) == [4, 5, 6]
        assert read_layers("fine", generator) == list(range(7, 16))


def test_rows_may_be_listed():
    assert read_layers([9, 0], LinearGenerator()) == [9, 0]
    assert read_layers(None, LinearGenerator()) == list(range(10))
    with pytest.raises(InputError, match=r"layers must be of 0 to 9, got \[10\]"):
        read_layers([10], LinearGenerator())


def test_one_row_cannot_be_mixed():
    with pytest.raises(InputError, match="3 rows of w or more, got 1"):
        layer_groups(1)
