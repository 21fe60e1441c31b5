"""A direction of w, along which an edit moves."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Direction:
    """What one unit of strength adds to w.

    Attributes:
        name: Such as `smile`.
        offset: [num_ws, w_dim], or [1, w_dim] for all layers.
    """

    name: str
    offset: Tensor
