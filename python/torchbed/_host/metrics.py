"""Metrics as hooks return them, checked and made plain (spec hooks#metrics)."""

from collections.abc import Mapping

from .failures import quoted, refused

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1
"""What the records hold that metrics go into (spec formats)."""


def plain_metrics(returned: object, hook: str) -> dict[str, bool | int | float | str]:
    """Return the metrics with plain Python values, in their order. hook: for messages.

    Subclasses of the four types become the plain type, so numpy.float64 passes; numpy.float32,
    numpy integers, tensors, None and nested values do not, nor integers beyond 64 bits. NaN and
    infinities pass.
    Fails with ERR_PROTOCOL for anything but a mapping with str keys, and with ERR_METRIC_VALUE.
    """
    # The exact class first: asking an abstract one costs more than all the rest.
    if type(returned) is not dict and not isinstance(returned, Mapping):
        raise refused(
            "ERR_PROTOCOL",
            f"{hook} must return a dict of metrics, got {quoted(returned)}; "
            "return {} when there are none",
        )
    metrics: dict[str, bool | int | float | str] = {}
    for name, value in returned.items():
        if not isinstance(name, str):
            raise refused(
                "ERR_PROTOCOL", f"{hook} returned the metric name {quoted(name)}; names are str"
            )
        metrics[str.__str__(name)] = _plain(value, name, hook)
    return metrics


def _plain(value: object, name: str, hook: str) -> bool | int | float | str:
    # The base type's own conversion: a subclass may have its own idea of __str__ or __float__.
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        number = int.__int__(value)
        if INTEGER_MIN <= number <= INTEGER_MAX:
            return number
        raise refused(
            "ERR_METRIC_VALUE",
            f"metric value {quoted(number)} for {quoted(name)} of {hook} is beyond 64 bits; an int "
            "must be from -2**63 to 2**63 - 1, return a float or a str",
            "OverflowError",
        )
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, str):
        return str.__str__(value)
    remedy = "return a bool, int, float or str"
    if hasattr(value, "item"):
        remedy += ", such as the value's .item()"
    raise refused(
        "ERR_METRIC_VALUE",
        f"unsupported metric value {quoted(value)} of type {type(value).__name__} "
        f"for {quoted(name)} of {hook}; {remedy}",
    )
