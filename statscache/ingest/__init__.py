"""From bytes to statistics: prepare, reduce, accept, fold; `ingest.Ingest` is the entrance."""

from statscache.ingest.delivery import Delivery, Outcome
from statscache.ingest.ingest import Ingest

__all__ = ["Delivery", "Ingest", "Outcome"]
