"""The sections under `[sources]`: where messages come from."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, field_validator

from statscache.config import urls
from statscache.config.section import Section
from statscache.timeline import parse_time


class FedoraMessagingSection(Section):
    """`[sources.fedora-messaging]`: the live AMQP bus; needs the extra `statscache[amqp]`."""

    config: Path | None = Field(
        None, description="File with fedora-messaging's configuration: broker, queues, bindings; its own if not given."
    )
    prefetch: Annotated[int, Field(ge=1, le=10_000)] = Field(
        4_000, description="Messages that the broker hands over at most before the first of them is acknowledged."
    )


class FedmsgSection(Section):
    """`[sources.fedmsg]`: the live ZeroMQ bus."""

    endpoints: tuple[str, ...] | None = Field(
        None, description="ZeroMQ endpoints of the bus; fedmsg's own fedmsg.d if not given."
    )
    validate_signatures: bool = Field(
        False, description="Refuse messages without a valid signature; needs certificates named in fedmsg.d."
    )

    @field_validator("endpoints")
    @classmethod
    def _endpoints_hold_no_credentials(cls, endpoints: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if endpoints is None else tuple(map(urls.check_endpoint, endpoints))


class SpoolSection(Section):
    """`[sources.spool]`: a directory into which archives are dropped."""

    path: Path = Field(description="The directory; it exists already.")


class DatagrepperSection(Section):
    """`[sources.datagrepper]`: history over HTTP."""

    url: str = Field(description="Address of the search, such as https://apps.fedoraproject.org/datagrepper/v2/search.")
    password_file: Path | None = Field(
        None, description="File with `user:password` for the server, readable by its owner only; none if not given."
    )
    start: Annotated[int, Field(ge=1)] | None = Field(
        None, description="When history begins: an ISO 8601 date or time (no zone means UTC)."
    )
    timeout: Annotated[float, Field(gt=0)] = Field(60.0, description="Seconds for which the server may be silent.")
    repair_hours: Annotated[float, Field(ge=0)] = Field(
        168.0, description="Hours back from now that a consumer keeps complete; 0 to leave history to `backfill`."
    )

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        return urls.check(url, "put `user:password` into a file, and name that in password_file")

    @field_validator("start", mode="before")
    @classmethod
    def _start_is_a_time(cls, start: Any) -> Any:
        # TOML has dates and times of its own; a variable of the environment is text.
        return parse_time(str(start)) if isinstance(start, str | date) else start


LIVE = "fedmsg", "fedora-messaging", "spool"
"""Names of the sections of live sources."""


class SourcesSection(Section):
    """`[sources]`: a section's presence enables the source."""

    fedora_messaging: FedoraMessagingSection | None = Field(
        None,
        description="The live AMQP bus.",
        # A variable's name cannot hold the dash.
        validation_alias=AliasChoices("fedora-messaging", "fedora_messaging"),
        serialization_alias="fedora-messaging",
    )
    fedmsg: FedmsgSection | None = Field(None, description="The older live bus, ZeroMQ.")
    spool: SpoolSection | None = Field(None, description="A directory into which archives are dropped.")
    datagrepper: DatagrepperSection | None = Field(None, description="History over HTTP.")

    @property
    def live(self) -> list[str]:
        """Names of the live sources that are configured."""
        return [name for name in LIVE if getattr(self, name.replace("-", "_")) is not None]
