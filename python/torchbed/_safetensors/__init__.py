"""Reading and writing safetensors, behind `torchbed.tensors`."""
