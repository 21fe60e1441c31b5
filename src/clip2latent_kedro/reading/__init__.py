"""Files that nobody vouches for, read within bounds: documents, arrays, weights.

Other programs' files, pickles and what torch.save writes, come in by `read_foreign`.

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
from clip2latent_kedro.reading.foreign import (
    check_size,
    read_foreign,
    tensors_of,
)
from clip2latent_kedro.reading.pickled_names import ArrayRecord, ConfigNode
from clip2latent_kedro.reading.pickles import Instance, Refusal
from clip2latent_kedro.reading.torch_files import TensorRecord
from clip2latent_kedro.reading.weights import (
    MISSHAPEN,
    check_fit,
    compare_tensors,
    first_line,
    is_safetensors,
    load_network,
    parse_weights,
    read_weights,
    sketch_network,
)

__all__ = [
    "MISSHAPEN",
    "ArrayRecord",
    "ConfigNode",
    "Instance",
    "Refusal",
    "TensorRecord",
    "array_names",
    "bound_tree",
    "check_fit",
    "check_size",
    "check_tree",
    "check_types",
    "compare_tensors",
    "first_line",
    "is_safetensors",
    "load_network",
    "parse_json",
    "parse_weights",
    "read_foreign",
    "read_json",
    "read_npy",
    "read_npz",
    "read_settings",
    "read_text",
    "read_weights",
    "read_yaml",
    "sketch_network",
    "tensors_of",
]
