"""From bytes to statistics: parse, accept each message exactly once into the journal, fold it into each plugin."""

from statscache.ingest.ingest import Ingest
from statscache.ingest.outcome import Delivery, Outcome

__all__ = ["Delivery", "Ingest", "Outcome"]
