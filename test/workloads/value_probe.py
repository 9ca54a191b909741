"""Lets a test see what crosses: adds a method that evaluates an expression over a value.

Real calls answer only what the protocol allows, so the conversion table needs this door.
"""

from typing import Any

from torchbed.params import Params
from torchbed.session import Session


def _probe(session: Session, params: Params) -> object:
    return eval(params.text("expression"), {"value": params.value("value"), "nan": float("nan")})


Session._METHODS["probe"] = _probe


def create_workload(config: Any) -> object:
    return object()
