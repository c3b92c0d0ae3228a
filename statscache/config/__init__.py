"""The configuration: a TOML file, overridden by `STATSCACHE_*` variables, checked as a whole before anything runs."""

from statscache.config.loading import find, load
from statscache.config.model import (
    BusSection,
    Config,
    DatabaseSection,
    JournalSection,
    MetricsSection,
    PluginsSection,
    PrivacySection,
    check_database,
)
from statscache.config.publish import AnnounceSection, PublishSection, RetentionSection
from statscache.config.sources import (
    LIVE,
    DatagrepperSection,
    FedmsgSection,
    FedoraMessagingSection,
    SourcesSection,
    SpoolSection,
)
from statscache.config.targets import AnyTarget, DirectoryTarget, RsyncTarget, S3Target

__all__ = [
    "LIVE",
    "AnnounceSection",
    "AnyTarget",
    "BusSection",
    "Config",
    "DatabaseSection",
    "DatagrepperSection",
    "DirectoryTarget",
    "FedmsgSection",
    "FedoraMessagingSection",
    "JournalSection",
    "MetricsSection",
    "PluginsSection",
    "PrivacySection",
    "PublishSection",
    "RetentionSection",
    "RsyncTarget",
    "S3Target",
    "SourcesSection",
    "SpoolSection",
    "check_database",
    "find",
    "load",
]
