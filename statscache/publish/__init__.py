"""From a snapshot to the places where clients find it, so that a reader never meets half of it."""

from statscache.publish.publisher import Publisher
from statscache.publish.report import Report

__all__ = ["Publisher", "Report"]
