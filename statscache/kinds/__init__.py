"""Kinds: how the observations of a plugin are merged, stored, published and forgotten. One module for each.

A plugin says *what* is measured (`statscache.plugins`); its kind is the only place that knows everything else. A kind
is registered when its class is defined: to add one, write its module and import it here.
"""

from statscache.kinds.base import Kind
from statscache.kinds.counter import CounterKind
from statscache.kinds.counter_by_key import CounterByKeyKind
from statscache.kinds.distinct import DistinctKind
from statscache.kinds.latest import LatestKind, LogKind
from statscache.kinds.registry import (
    clear,
    column,
    columns,
    invariants,
    kinds,
    mentions,
    refuse_strays,
    remove_strays,
    state_tables,
)
from statscache.kinds.span import SpanKind
from statscache.kinds.table import TableKind
from statscache.kinds.tables import digests_of_matching, matching_keys, numbers_of_keys

__all__ = [
    "CounterByKeyKind",
    "CounterKind",
    "DistinctKind",
    "Kind",
    "LatestKind",
    "LogKind",
    "SpanKind",
    "TableKind",
    "clear",
    "column",
    "columns",
    "digests_of_matching",
    "invariants",
    "kinds",
    "matching_keys",
    "mentions",
    "numbers_of_keys",
    "refuse_strays",
    "remove_strays",
    "state_tables",
]
