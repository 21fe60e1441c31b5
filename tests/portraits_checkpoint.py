"""A former name of a part of `world`, for those who still import it."""

from world import WEIGHTS, load_portraits, make_portraits_checkpoint  # noqa: F401
