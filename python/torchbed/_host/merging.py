"""The weighted mean of peers' models, with the arithmetic done once and right."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]


def weighted_merge(
    base: Tensors, candidates: Sequence[tuple[str, Tensors, float]]
) -> "dict[str, torch.Tensor]":
    """Return base + sum(w * (candidate - base)) / sum(w) of each tensor, in the base's dtype.

    base: the weights that the candidates started from, by name.
    candidates: peer id, weights of the same names and shapes, and weight, 0 or more. A candidate of
    weight 0 takes no part, whatever it holds; with no weight at all the base is returned.

    Sums are accumulated in float64 (complex128 for complex tensors), in float32 on devices without
    it, and rounded once. Integer and bool tensors, such as BatchNorm's counters, are the base's.

    Raises ValueError, naming the peer, for a weight that is negative or not finite, for tensors
    that are not finite, and for names or shapes that differ from the base's.
    """
    import torch

    weighted = [
        (peer, tensors, weight) for peer, tensors, weight in candidates if _takes(peer, weight)
    ]
    # Scaled by the largest, so that huge weights do not overflow in their sum.
    largest = max((weight for _, _, weight in weighted), default=0.0)
    shares = [weight / largest for _, _, weight in weighted]
    total = math.fsum(shares)
    for peer, tensors, _ in weighted:
        _assert_like(peer, tensors, base)
    merged: dict[str, Any] = {}
    for name, origin in base.items():
        if not weighted or not (origin.is_floating_point() or origin.is_complex()):
            merged[name] = origin.detach().clone()
            continue
        dtype = _accumulator(origin)
        start = origin.detach().to(dtype)
        move = torch.zeros_like(start)
        for (peer, tensors, _), share in zip(weighted, shares, strict=True):
            tensor = tensors[name].detach().to(device=start.device, dtype=dtype)
            if not bool(torch.isfinite(tensor).all()):
                raise ValueError(f"the model of peer {peer!r} holds NaN or infinity in {name!r}")
            move += (tensor - start) * (share / total)
        merged[name] = (start + move).to(origin.dtype)
    return merged


def merge_weight(candidate: Mapping[str, Any], policy: object) -> float:
    """Return what a candidate weighs in a merge: its sample_weight, times its quality_weight.

    candidate: as merge_candidate_models gets it. The policy WeightedMean leaves the quality out,
    and NormClippedWeightedMean keeps it within 0..1. weighted_merge refuses what is no weight.
    """
    quality: float = candidate["quality_weight"]
    if policy == "WeightedMean":
        quality = 1.0
    elif policy == "NormClippedWeightedMean":
        quality = min(max(quality, 0.0), 1.0)
    weight: float = candidate["sample_weight"] * quality
    return weight


def _takes(peer: str, weight: float) -> bool:
    if not math.isfinite(weight) or weight < 0:
        raise ValueError(f"peer {peer!r} has the merge weight {weight}; it must be 0 or more")
    return weight > 0


def _assert_like(peer: str, tensors: Tensors, base: Tensors) -> None:
    if tensors.keys() != base.keys():
        odd = sorted(tensors.keys() ^ base.keys())[:3]
        raise ValueError(f"the model of peer {peer!r} has other tensors than the base: {odd}")
    for name, origin in base.items():
        if tensors[name].shape != origin.shape:
            raise ValueError(
                f"{name!r} of peer {peer!r} has the shape {tuple(tensors[name].shape)}, and the "
                f"base's is {tuple(origin.shape)}"
            )


def _accumulator(tensor: "torch.Tensor") -> "torch.dtype":
    import torch

    is_mps = tensor.device.type == "mps"
    if tensor.is_complex():
        return torch.complex64 if is_mps else torch.complex128
    return torch.float32 if is_mps else torch.float64
