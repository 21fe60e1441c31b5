"""The former name of `world`, for those who still import it."""

from world import *  # noqa: F403
