"""How long-running commands are stopped."""

import signal
import threading


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set from now on, also before anything waits for it."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def end_as_interrupted() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that it ends its workers first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
