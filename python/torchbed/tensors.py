"""safetensors over borrowed memory: tensors that view a file in memory, and files written in place.

    from torchbed.tensors import load_state_dict_from, plan_layout, tensor_views, write_tensors

    tensors = tensor_views(exporter)             # no copy: each tensor reads the exporter's memory
    load_state_dict_from(exporter, model)        # one copy, into the model

    layout = plan_layout(model.state_dict())     # how much memory it takes, and the header
    write_tensors(layout, model.state_dict(), memory)  # one copy, out of the model

Reads and writes the same files as the package safetensors, which it does not need. torch is
imported by the first call that has to do with tensors; parse_header needs none.
"""

from ._safetensors.errors import Fault, SafetensorsError
from ._safetensors.header import (
    DTYPE_BITS,
    MAX_HEADER_BYTES,
    Header,
    TensorInfo,
    parse_header,
)
from ._safetensors.views import load_state_dict_from, tensor_views
from ._safetensors.writing import Layout, plan_layout, write_tensors

__all__ = [
    "DTYPE_BITS",
    "MAX_HEADER_BYTES",
    "Fault",
    "Header",
    "Layout",
    "SafetensorsError",
    "TensorInfo",
    "load_state_dict_from",
    "parse_header",
    "plan_layout",
    "tensor_views",
    "write_tensors",
]
