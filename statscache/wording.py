"""Numbers as they are said to people."""


def counted(number: int, noun: str) -> str:
    """Return a number with what it counts, such as `1 message` or `2,000 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
