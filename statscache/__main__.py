"""`python -m statscache` is the command `statscache`."""

from statscache.cli import main

main()
