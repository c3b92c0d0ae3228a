"""Pauses between attempts at what fails for a while, such as a database that is down."""


class Backoff:
    """Says how long to wait before the next attempt: each pause is twice the one before, up to a maximum.

    Args:
        shortest: Seconds of the first pause.
        longest: Seconds of the longest one.

    Attributes:
        pause: Seconds to wait before the next attempt.
    """

    def __init__(self, shortest: float = 0.5, longest: float = 30.0) -> None:
        self._shortest = shortest
        self._longest = longest
        self.pause = shortest

    @property
    def is_longest(self) -> bool:
        """True if attempts have failed for so long that pauses no longer grow."""
        return self.pause >= self._longest

    def succeeded(self) -> None:
        """Begin with the shortest pause again."""
        self.pause = self._shortest

    def failed(self) -> float:
        """Return the seconds to wait now; the next pause is longer."""
        pause, self.pause = self.pause, min(2 * self.pause, self._longest)
        return pause
