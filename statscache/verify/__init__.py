"""Verification of a published tree from outside: it uses only what a reader can see."""

from statscache.exceptions import Unreachable
from statscache.verify.findings import Finding, Weight
from statscache.verify.places import Directory, Place, Website, place
from statscache.verify.walk import Report, verify

__all__ = ["Directory", "Finding", "Place", "Report", "Unreachable", "Website", "Weight", "place", "verify"]
