"""The whole configuration, and those of its sections that are small."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator

from statscache.bounds import MAX_LINE
from statscache.config.publish import PublishSection
from statscache.config.section import Section
from statscache.config.sources import SourcesSection
from statscache.store.plain import sqlite_file

_DATABASES = "expected sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME"


def check_database(url: str) -> str:
    """Return the URL of a database, if statscache can use it and its rows stay when the process ends.

    Raises:
        ValueError: It is of another kind, in memory, or has a password where it would be shown; the text shows none.
    """
    if not url.startswith(("sqlite://", "postgresql+psycopg://")):
        raise ValueError(_DATABASES)
    try:
        parts = urlsplit(url)
        where = f"{parts.hostname}:{parts.port}"
    except ValueError as error:
        # Python's error quotes the port, which may be a part of the password.
        raise ValueError(
            f"the port is not a number; {_DATABASES}; in a password, write / as %2F and @ as %40"
        ) from error
    if {name for name in parse_qs(parts.query) if name.endswith("password")}:
        raise ValueError(
            "must not hold a password after the ?; write USER:PASSWORD@HOST, or use PGPASSWORD or ~/.pgpass"
        )
    if parts.scheme == "sqlite":
        file, parameters = sqlite_file(url)
        if parts.netloc:
            raise ValueError(f"a URL of SQLite names no host, such as {where}; {_DATABASES}")
        if file in ("", "file:") or ":memory:" in file or parameters.get("mode") == "memory":
            raise ValueError("this database would be in memory, and gone when the command ends; give sqlite:///FILE")
    return url


class DatabaseSection(Section):
    """`[database]`: where the state is kept."""

    url: str = Field("sqlite:///statscache.db", description="SQLAlchemy URL of SQLite or PostgreSQL.")

    @field_validator("url")
    @classmethod
    def _is_supported(cls, url: str) -> str:
        return check_database(url)


class BusSection(Section):
    """`[bus]`: which messages are ours."""

    environments: tuple[str, ...] = Field(
        ("prod",), description="Environments (third part of the topic) whose messages count; empty for all."
    )
    max_line: Annotated[int, Field(ge=1024)] = Field(
        MAX_LINE, description="Maximum bytes of a line; longer ones are malformed."
    )
    max_kept: Annotated[int, Field(ge=0)] = Field(
        256 * 1024 * 1024,
        description="Bytes of malformed lines to keep in quarantine, the newest; also of future messages.",
    )


class JournalSection(Section):
    """`[journal]`: the messages that were accepted."""

    keep: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Days before the newest message for which messages are kept; forever if not given."
    )


class PluginsSection(Section):
    """`[plugins]`: which statistics are kept."""

    enabled: tuple[str, ...] = Field(("*",), description="Patterns of the names of active plugins.")
    disabled: tuple[str, ...] = Field((), description="Patterns of the names of plugins that are left out of these.")
    time_budget: Annotated[float, Field(gt=0)] = Field(
        30.0,
        description="Seconds that a plugin may take for a batch of up to 32 MiB, and for each 32 MiB of a larger one.",
    )
    hang_timeout: Annotated[float, Field(gt=0)] = Field(
        120.0, description="Seconds after which a plugin that does not return ends the process."
    )
    hang_note: Path = Field(
        Path("statscache.hang"), description="File in which a process that is ended for a hang leaves a note."
    )
    settings: dict[str, dict[str, Any]] = Field({}, description="A table of settings for each plugin, by name.")
    shared: dict[str, Any] = Field({}, description="Settings that several plugins ask for by name, such as `bots`.")


class PrivacySection(Section):
    """`[privacy]`: what is published about people."""

    people: bool = Field(True, description="True if plugins about people are active.")
    suppressed: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="Names of people who are left out; a change folds the journal again."
    )


class MetricsSection(Section):
    """`[metrics]`: numbers for Prometheus, shown by the processes that consume."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None,
        description="Port of `/metrics`, and of health at `/livez` and `/readyz`; none if not given.",
    )
    address: str = Field("127.0.0.1", description="Address of this machine at which that port is open.")
    textfile: Path | None = Field(
        None, description="File, such as `statscache.prom`, into which they are written for node_exporter."
    )


class Config(Section):
    """Everything that can be configured, with its defaults: no file at all is a working configuration."""

    database: DatabaseSection = DatabaseSection()
    bus: BusSection = BusSection()
    sources: SourcesSection = SourcesSection()
    journal: JournalSection = JournalSection()
    plugins: PluginsSection = PluginsSection()
    privacy: PrivacySection = PrivacySection()
    publish: PublishSection = PublishSection()
    metrics: MetricsSection = MetricsSection()
