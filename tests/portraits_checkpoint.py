"""The former name of `shipped`, for those who still import it."""

from shipped import WEIGHTS, load_portraits, make_portraits_checkpoint  # noqa: F401
