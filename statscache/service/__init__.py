"""The jobs that people start: consume, backfill, publish, look after; each made of the stages."""

from statscache.service.consume import Consumer
from statscache.service.installation import Installation

__all__ = ["Consumer", "Installation"]
