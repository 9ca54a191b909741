"""The dtypes of the safetensors format beside those of the torch that is installed."""

import sys
from functools import cache
from typing import TYPE_CHECKING

from .errors import SafetensorsError

if TYPE_CHECKING:
    import torch

# F6_E2M3 and F6_E3M2 have no counterpart in torch.
_TORCH_NAMES = {
    "BOOL": "bool",
    "F4": "float4_e2m1fn_x2",
    "U8": "uint8",
    "I8": "int8",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "C64": "complex64",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
}

F4_PER_ELEMENT = 2
"""Values of the format in one element of torch.float4_e2m1fn_x2; the last dimension counts them."""


@cache
def torch_dtypes() -> "dict[str, torch.dtype]":
    """Return torch's dtype for each of the format's that it has; older versions have fewer."""
    import torch

    return {
        name: getattr(torch, torch_name)
        for name, torch_name in _TORCH_NAMES.items()
        if hasattr(torch, torch_name)
    }


@cache
def format_dtypes() -> "dict[torch.dtype, str]":
    """Return the format's dtype for each of torch's that it can say."""
    return {dtype: name for name, dtype in torch_dtypes().items()}


def require_little_endian() -> None:
    """Raise where memory is not laid out as in a file, so that it can be neither viewed nor copied.

    The package safetensors swaps bytes there.
    """
    if sys.byteorder != "little":
        raise SafetensorsError(
            f"Cannot use safetensors memory on a {sys.byteorder}-endian machine; "
            "use safetensors.torch.load and save there"
        )
