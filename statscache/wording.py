"""Format numbers and foreign text for people."""


def counted(number: int, noun: str) -> str:
    """Return a number with what it counts, such as `1 message` or `2,000 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def printable(text: str) -> str:
    """Return a foreign text with control characters escaped: it stays on one line, and cannot control a terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
