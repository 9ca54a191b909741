"""The built-in module that the C++ bridge registers; absent in a plain python process."""

def write(stream: int, text: str) -> None:
    """Hand text to the host's stdout (stream 1) or stderr (2). Any thread."""

def should_stop() -> bool:
    """Whether the running call was asked to stop. Any thread."""

def interrupt_signal() -> int:
    """Return the signal whose handler ends the running call."""

def stack_signal() -> int:
    """Return the signal at which the main thread writes its stack, or 0."""

def set_stack_pipe(descriptor: int) -> None:
    """Say where that stack can be read."""

def urgency() -> int:
    """Return 1 when the running call is to end, 2 when the process is, 0 otherwise."""

def set_ending(is_ending: bool) -> None:
    """Say whether Cancelled is on its way through the running call."""

def progress(step: int, total: int | None, metrics: dict[str, bool | int | float | str]) -> None:
    """Tell whoever listens to the running call. Any thread."""

def has_urgent() -> bool:
    """Whether a call waits that run_urgent() would run. Any thread."""

def run_urgent() -> None:
    """Run the urgent calls that wait, inside the running call; nothing on other threads."""

def count_models(number: int) -> None:
    """Say how many models the open sessions hold together."""

def hold_signal(number: int) -> None:
    """Remember the handler of a signal that is about to be changed."""

def share_signal(number: int) -> None:
    """Let the remembered handler be called beside the new one."""
