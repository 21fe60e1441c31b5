import numpy as np
import pytest

from clip2latent_kedro.study.grid import DPI, plot_grid

RNG = np.random.default_rng(0)


def test_a_grid_shows_each_picture_in_its_cell():
    pictures = RNG.integers(0, 256, (2, 3, 1, 1, 3), np.uint8)  # columns x rows
    columns = {"one": pictures[0], "two": pictures[1]}
    grid = plot_grid(["a", "b", "c"], columns)
    # Cells are one inch, after 2.2 of text and 0.45 of titles.
    y = (DPI * (0.45 + 0.5 + np.arange(3))).astype(int)
    x = (DPI * (2.2 + 0.5 + np.arange(2))).astype(int)
    assert np.array_equal(grid[np.ix_(y, x)], pictures[:, :, 0, 0].swapaxes(0, 1))


@pytest.mark.parametrize("side", [64, 100])
def test_small_pictures_are_enlarged_by_repeating_their_pixels(side):
    picture = RNG.integers(0, 256, (1, side, side, 3), np.uint8)
    cell = plot_grid(["a"], {"one": picture})[:, round(2.2 * DPI) :]
    colours = {tuple(colour) for colour in cell.reshape(-1, 3)}
    assert colours >= {tuple(colour) for colour in picture.reshape(-1, 3)}


@pytest.mark.parametrize("text", ["a", "Привет, мир", "a\nb", "  ", "x" * 3000, "日本"])
def test_a_prompt_stands_left_of_its_row_and_nowhere_else(text):
    white = np.full((2, 4, 4, 3), 255, np.uint8)
    with_text = plot_grid(["", text], {"": white})
    rows, columns, _ = np.nonzero(with_text != plot_grid(["", ""], {"": white}))
    is_seen = bool(text.strip())
    assert bool(len(rows)) == is_seen
    if is_seen:
        assert columns.max() < 2.2 * DPI
        assert rows.min() >= 1.45 * DPI


def test_a_title_stands_above_its_column():
    white = np.full((1, 4, 4, 3), 255, np.uint8)
    titled = plot_grid([""], {"": white, "the second_one": white})
    rows, columns, _ = np.nonzero(titled != 255)
    assert rows.max() < 0.45 * DPI
    assert columns.min() > 3.2 * DPI


def test_no_prompts_are_a_blank_picture():
    assert np.all(plot_grid([], {}) == 255)
