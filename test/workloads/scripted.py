"""A workload whose hooks a test writes: the config names hooks, and an expression for each.

An expression knows `args`, what the hook was called with; `n`, how often this hook was called, this
call included; `usual`, the hook as Mergeable has it; and `workload`, whose list `seen` keeps what
`see(value)` was given, as Python prints it.
"""

import time
from collections import Counter
from typing import Any

from plain import Mergeable


class Scripted(Mergeable):
    workload_name = "scripted"

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.seen: list[str] = []
        self.counts: Counter[str] = Counter()
        for hook, expression in config.get("hooks", {}).items():
            setattr(self, hook, self._written(hook, compile(expression, hook, "eval")))

    def _written(self, hook: str, expression: Any) -> Any:
        usual = getattr(self, hook, None)

        def call(*args: Any) -> Any:
            self.counts[hook] += 1
            names = {
                "args": args,
                "n": self.counts[hook],
                "usual": usual,
                "workload": self,
                "see": self.see,
                "fail": self.fail,
                "time": time,
            }
            return eval(expression, names)

        return call

    def see(self, value: Any) -> None:
        self.seen.append(repr(value))

    def fail(self, message: str) -> None:
        raise LookupError(message)


def create_workload(config: dict[str, Any] | None) -> Scripted:
    return Scripted(config or {})
