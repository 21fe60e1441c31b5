"""Files that nobody vouches for, read within bounds: documents, arrays, weights.

What a file may cost is known before it is paid: its size before it is read or hashed,
the depth and the number of a document's nodes before they are made, the shape of an
array before there is room for it, and the shapes of a network before it is built.
"""

from clip2latent_kedro.checked import check_types, read_settings
from clip2latent_kedro.reading.arrays import array_names, read_npy, read_npz
from clip2latent_kedro.reading.documents import (
    bound_tree,
    check_tree,
    parse_json,
    read_json,
    read_text,
    read_yaml,
)
from clip2latent_kedro.reading.weights import (
    MISSHAPEN,
    check_fit,
    is_safetensors,
    load_network,
    parse_weights,
    read_weights,
)

__all__ = [
    "MISSHAPEN",
    "array_names",
    "bound_tree",
    "check_fit",
    "check_tree",
    "check_types",
    "is_safetensors",
    "load_network",
    "parse_json",
    "parse_weights",
    "read_json",
    "read_npy",
    "read_npz",
    "read_settings",
    "read_text",
    "read_weights",
    "read_yaml",
]
