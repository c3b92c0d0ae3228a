"""Derivation: the agent, the people involved, the packages, and a line of text for people."""

from statscache.derivation.table import Derived, derive
from statscache.derivation.text import link, subtitle

__all__ = ["Derived", "derive", "link", "subtitle"]
