"""What a hook answers to a batch of calls of which some have failed."""

from collections.abc import Mapping

from .failures import Failure, failure_of, quoted, refused


class BatchResult:
    """The answer of a hook to a batch, some of whose items have failed.

    Return it from a hook that JavaScript calls through `project.batched`: the callers of the failed
    items get their exception, all others their share of the output.
    """

    def __init__(self, output: object, failed: Mapping[int, BaseException]) -> None:
        """Take the results and the failures.

        output: as without failures, with any value in the place of an item that failed.
        failed: exceptions, raised before or not, by the number of their item, from 0 on.
        """
        self.output = output
        self.failed = dict(failed)


def failures_of(result: BatchResult, size: int) -> list[tuple[int, Failure]]:
    """Return the failures of a batch of `size` items. Fails with ERR_PROTOCOL."""
    failures: list[tuple[int, Failure]] = []
    for number, error in result.failed.items():
        is_number = isinstance(number, int) and not isinstance(number, bool)
        if not is_number or not 0 <= number < size:
            raise refused(
                "ERR_PROTOCOL",
                f"a batch of {size} items has no item {quoted(number)} that could have failed",
            )
        if not isinstance(error, BaseException):
            raise refused(
                "ERR_PROTOCOL", f"a failed item needs an exception, and got {quoted(error)}"
            )
        failures.append((number, failure_of(error, "ERR_HOOK_RAISED").failure))
    return failures
