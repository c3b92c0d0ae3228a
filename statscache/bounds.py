"""Bounds of a line, in their own module so that the configuration need not import the parser."""

MAX_LINE = 1024 * 1024
"""Maximum length of a message's line in bytes, by default."""

KEPT_OF_OVERSIZE = 65_536
"""Number of bytes that are kept of a line that is too long."""
