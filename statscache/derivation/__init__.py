"""Derivation: who acted, who is involved, which packages are concerned, and a line of text for people."""

from statscache.derivation.table import Derived, derive
from statscache.derivation.text import link, subtitle

__all__ = ["Derived", "derive", "link", "subtitle"]
