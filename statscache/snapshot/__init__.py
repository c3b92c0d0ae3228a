"""From documents to a snapshot: a tree of content-addressed files that is whole or is not there."""

from statscache.snapshot.build import build
from statscache.snapshot.record import Snapshot
from statscache.snapshot.rollback import rollback

__all__ = ["Snapshot", "build", "rollback"]
