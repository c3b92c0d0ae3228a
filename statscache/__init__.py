"""statscache keeps statistics of a message bus up to date and publishes them as static files."""

__version__ = "0.1.0"
