"""Bounds of a line. Apart from the parser, so that the configuration can name them without importing it."""

MAX_LINE = 1024 * 1024
"""Default of the bytes of the longest line that is taken for a message."""

KEPT_OF_OVERSIZE = 65_536
"""Bytes that are kept of a line which is too long."""
