"""Measure what the project promises about its cost and its robustness: `make bench` and `make torture`."""

import sys
from pathlib import Path

# The servers are those of the tests.
sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "support"))
