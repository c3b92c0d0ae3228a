"""The section `[publish]`: what is rendered, how often, where to, and how long it is kept."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from statscache.config import urls
from statscache.config.section import Section
from statscache.config.targets import AnyTarget, DirectoryTarget


class RetentionSection(Section):
    """`[publish.retention]`: how long snapshots are kept."""

    snapshots: Annotated[int, Field(ge=1)] = Field(100, description="Maximum number of snapshots kept.")
    days: Annotated[float, Field(gt=0)] = Field(7.0, description="Days for which a snapshot is kept.")
    grace_hours: Annotated[float, Field(ge=0)] = Field(
        24.0, description="Hours for which an object stays that no retained snapshot refers to."
    )


class AnnounceSection(Section):
    """`[publish.announce]`: a message on the fedmsg bus for each new snapshot."""

    relay: str | None = Field(
        None, description="ZeroMQ endpoint of the fedmsg relay to send to; fedmsg's own fedmsg.d if not given."
    )

    @field_validator("relay")
    @classmethod
    def _relay_holds_no_credentials(cls, relay: str | None) -> str | None:
        return None if relay is None else urls.check_endpoint(relay)


class PublishSection(Section):
    """`[publish]`: what is rendered, how often, and where to."""

    interval: Annotated[int, Field(ge=1)] = Field(60, description="Seconds between two publications.")
    slow_interval: Annotated[int, Field(ge=0)] = Field(
        600, description="Seconds for which slow documents may wait: those of keys, pages, plots, CSV, long series."
    )
    most_slow_documents: Annotated[int, Field(ge=100)] = Field(
        20_000,
        description="Most key documents (about) that one publication of `run` makes; the next makes the rest.",
    )
    base_url: str | None = Field(
        None, description="Where the site is served; for canonical addresses, the sitemap and examples."
    )
    title: str = Field("statscache", description="The site's name, at the head of its pages.")
    examples: bool = Field(False, description="Publish pages that show what can be made of the statistics.")
    index_people: bool = Field(False, description="Let search engines list the pages of people.")
    gate_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Maximum part of a document's rows that may vanish at once, from 0 to 1."
    )
    signing_keys: tuple[Path, ...] = Field(
        (), description="Files with Ed25519 private keys (PEM) that sign the index; needs statscache[signatures]."
    )
    announce: AnnounceSection | None = Field(
        None, description="Announces each new snapshot on the bus; the section's presence enables it."
    )
    targets: tuple[AnyTarget, ...] = Field(
        (DirectoryTarget(name="public", type="directory", path=Path("public")),), description="Where to publish."
    )
    retention: RetentionSection = Field(RetentionSection(), description="How long snapshots are kept.")

    @field_validator("base_url")
    @classmethod
    def _base_url_is_public(cls, url: str | None) -> str | None:
        return None if url is None else urls.check(url, "readers of the site would see them")

    @field_validator("targets")
    @classmethod
    def _names_are_unique(cls, targets: tuple[AnyTarget, ...]) -> tuple[AnyTarget, ...]:
        names = [target.name for target in targets]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two targets are named {', '.join(repeated)}; give each a name of its own")
        return targets
