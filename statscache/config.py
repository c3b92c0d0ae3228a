"""The configuration: a TOML file, overridden by `STATSCACHE_*` variables, checked as a whole before anything runs."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from statscache.exceptions import ConfigurationError
from statscache.timeline import parse_time

PATHS = (Path("statscache.toml"), Path("/etc/statscache/statscache.toml"))
"""Where the configuration is looked for when neither `--config` nor `STATSCACHE_CONFIG` names it."""

PREFIX = "STATSCACHE_"
"""How the names of environment variables begin that override the file."""

_OTHER_VARIABLES = {"STATSCACHE_CONFIG", "STATSCACHE_MESSAGES"}


class Section(BaseModel):
    """A table of the file; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSection(Section):
    """`[database]`: where the state is kept."""

    url: str = Field("sqlite:///statscache.db", description="SQLAlchemy URL of SQLite or PostgreSQL.")

    @field_validator("url")
    @classmethod
    def _is_supported(cls, url: str) -> str:
        if not url.startswith(("sqlite://", "postgresql+psycopg://")):
            raise ValueError("expected sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME")
        return url


class BusSection(Section):
    """`[bus]`: which messages are ours."""

    environments: tuple[str, ...] = Field(
        ("prod",), description="Environments (third part of the topic) whose messages count; empty for all."
    )
    max_line: Annotated[int, Field(ge=1024)] = Field(
        4 * 1024 * 1024, description="Bytes of the longest line that is taken for a message."
    )
    max_kept: Annotated[int, Field(ge=0)] = Field(
        256 * 1024 * 1024,
        description="Bytes of what is no message that are kept, the newest, and as many of messages of the future.",
    )


class FedmsgSection(Section):
    """`[sources.fedmsg]`: the live ZeroMQ bus."""

    endpoints: tuple[str, ...] | None = Field(
        None, description="ZeroMQ endpoints of the bus; fedmsg's own fedmsg.d if not given."
    )
    validate_signatures: bool = Field(
        False, description="Refuse messages without a valid signature; needs certificates as fedmsg documents."
    )


class FedoraMessagingSection(Section):
    """`[sources.fedora-messaging]`: the live AMQP bus; needs the extra `statscache[amqp]`."""

    config: Path | None = Field(
        None, description="File with fedora-messaging's configuration: broker, queues, bindings; its own if not given."
    )
    prefetch: Annotated[int, Field(ge=1, le=10_000)] = Field(
        4_000, description="Messages that the broker hands over at most before the first of them is acknowledged."
    )


class SpoolSection(Section):
    """`[sources.spool]`: a directory into which archives are dropped."""

    path: Path = Field(description="The directory; it exists already.")


class DatagrepperSection(Section):
    """`[sources.datagrepper]`: history over HTTP."""

    url: str = Field(description="Address of the search, such as https://apps.fedoraproject.org/datagrepper/v2/search.")
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
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an address such as https://apps.fedoraproject.org/datagrepper/v2/search")
        return url

    @field_validator("start", mode="before")
    @classmethod
    def _start_is_a_time(cls, start: Any) -> Any:
        # TOML has dates and times of its own; a variable of the environment is text.
        return parse_time(str(start)) if isinstance(start, str | date) else start


class SourcesSection(Section):
    """`[sources]`: a section that is there enables the source."""

    fedmsg: FedmsgSection | None = Field(None, description="The live ZeroMQ bus.")
    fedora_messaging: FedoraMessagingSection | None = Field(
        None,
        description="The live AMQP bus.",
        # A variable's name cannot hold the dash.
        validation_alias=AliasChoices("fedora-messaging", "fedora_messaging"),
        serialization_alias="fedora-messaging",
    )
    spool: SpoolSection | None = Field(None, description="A directory into which archives are dropped.")
    datagrepper: DatagrepperSection | None = Field(None, description="History over HTTP.")


class JournalSection(Section):
    """`[journal]`: the messages that were accepted."""

    keep: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Days before the newest message for which messages are kept; for ever if not given."
    )


class PluginsSection(Section):
    """`[plugins]`: which statistics are kept."""

    enabled: tuple[str, ...] = Field(("*",), description="Patterns of the names of active plugins.")
    time_budget: Annotated[float, Field(gt=0)] = Field(
        30.0, description="Seconds that a plugin may take for one batch before it is suspended."
    )
    hang_timeout: Annotated[float, Field(gt=0)] = Field(
        120.0, description="Seconds after which a plugin that does not return ends the process."
    )
    hang_note: Path = Field(
        Path("statscache.hang"), description="File in which a process that is ended for a hang leaves word."
    )
    settings: dict[str, dict[str, Any]] = Field({}, description="A table of settings for each plugin, by name.")
    shared: dict[str, Any] = Field({}, description="Settings that several plugins ask for by name, such as `bots`.")


class PrivacySection(Section):
    """`[privacy]`: what is said of people."""

    people: bool = Field(True, description="Whether plugins about people are active.")
    suppressed: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="Names of people who are left out; a change folds the journal anew."
    )


class DirectoryTarget(Section):
    """`[[publish.targets]]` of type `directory`: a directory of this machine."""

    name: str = Field(description="Its name in status and on the command line.", pattern=r"^[a-z][a-z0-9-]*$")
    type: Literal["directory"] = Field("directory", description="The kind of the target.")
    path: Path = Field(description="The directory.")
    precompress: tuple[Literal["gz", "br", "zst"], ...] = Field(
        ("gz",), description="Compressed siblings laid beside each file, for the web server to send as they are."
    )


class RsyncTarget(Section):
    """`[[publish.targets]]` of type `rsync`: a directory here, behind ssh, or in a module of an rsync daemon."""

    name: str = Field(description="Its name in status and on the command line.", pattern=r"^[a-z][a-z0-9-]*$")
    type: Literal["rsync"] = Field(description="The kind of the target.")
    destination: str = Field(description="A local path, `host:path`, or `rsync://host/module/path`.")
    rsh: str = Field("ssh -o BatchMode=yes", description="Command that logs in to the host of `host:path`.")
    password_file: Path | None = Field(
        None, description="File with the password of the daemon's module, readable by its owner only."
    )
    timeout: Annotated[int, Field(ge=1)] = Field(60, description="Seconds for which the other side may be silent.")
    precompress: tuple[Literal["gz", "br", "zst"], ...] = Field(
        ("gz",), description="Compressed siblings laid beside each file, for the web server to send as they are."
    )

    @field_validator("destination")
    @classmethod
    def _destination_is_understood(cls, destination: str) -> str:
        if destination.startswith("rsync://"):
            parts = urlsplit(destination)
            if parts.password is not None:
                raise ValueError("must not hold a password; put it into a file, and name that in password_file")
            if not parts.hostname or not parts.path.strip("/"):
                raise ValueError("must name a host and a module: rsync://host/module/path")
        host, colon, path = destination.partition(":")
        if not destination or (colon and "/" not in host and not path.strip(":")):
            raise ValueError("must be a path, host:path, or rsync://host/module/path")
        if destination.startswith("-"):
            raise ValueError("must not begin with a dash, which would make it an option of rsync; begin it with ./")
        return destination


class S3Target(Section):
    """`[[publish.targets]]` of type `s3`: a bucket; credentials come from where boto3 looks for them."""

    name: str = Field(description="Its name in status and on the command line.", pattern=r"^[a-z][a-z0-9-]*$")
    type: Literal["s3"] = Field(description="The kind of the target.")
    bucket: Annotated[str, Field(min_length=1)] = Field(description="The bucket; it exists already.")
    prefix: str = Field("", description="Where in the bucket the site's root is, such as `stats`.")
    region: str | None = Field(None, description="Region of the bucket; what boto3 finds if not given.")
    endpoint_url: str | None = Field(None, description="URL of a store other than Amazon's.")
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Whether the bucket's name is part of the URL's path or of its host."
    )
    acl: str | None = Field(None, description="Canned ACL of each file, such as `public-read`; none if not given.")
    gzip: bool = Field(False, description="Store text compressed, for all readers, whether they ask for it or not.")
    checksums: Literal["when_supported", "when_required"] = Field(
        "when_supported", description="Whether boto3 adds checksum headers that some stores do not understand."
    )
    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(16, description="Requests at a time.")
    connect_timeout: Annotated[float, Field(gt=0)] = Field(5.0, description="Seconds that connecting may take.")
    read_timeout: Annotated[float, Field(gt=0)] = Field(
        30.0, description="Seconds without an answer after which a try is given up."
    )
    attempts: Annotated[int, Field(ge=1)] = Field(3, description="Tries of each request.")
    public_url: str | None = Field(
        None, description="Where readers get the files, such as a CDN; the index is read back from there."
    )
    distribution_id: str | None = Field(None, description="CloudFront distribution before the bucket.")

    @field_validator("prefix")
    @classmethod
    def _prefix_is_bare(cls, prefix: str) -> str:
        return prefix.strip("/")

    @field_validator("endpoint_url", "public_url")
    @classmethod
    def _url_holds_no_credentials(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be a URL such as https://host/path")
        # A secret may hold slashes, so that the @ behind it is no part of the host.
        if "@" in url:
            raise ValueError("must not hold credentials; they come from where boto3 looks for them")
        return url.rstrip("/")


def _kind_of_target(section: Any) -> str | None:
    """Return the kind of a target, which is a directory unless it says otherwise."""
    kind = section.get("type", "directory") if isinstance(section, Mapping) else getattr(section, "type", None)
    return kind if isinstance(kind, str) else None


AnyTarget = Annotated[
    Annotated[DirectoryTarget, Tag("directory")]
    | Annotated[RsyncTarget, Tag("rsync")]
    | Annotated[S3Target, Tag("s3")],
    Discriminator(
        _kind_of_target,
        custom_error_type="target",
        custom_error_message='a target is a table whose type is "directory", "rsync" or "s3"',
    ),
]
"""One place to publish to, by its `type`."""


class RetentionSection(Section):
    """`[publish.retention]`: how long snapshots are kept."""

    snapshots: Annotated[int, Field(ge=1)] = Field(100, description="Snapshots kept at most.")
    days: Annotated[float, Field(gt=0)] = Field(7.0, description="Days for which a snapshot is kept.")
    grace_hours: Annotated[float, Field(ge=0)] = Field(
        24.0, description="Hours for which an object stays that no retained snapshot refers to."
    )


class AnnounceSection(Section):
    """`[publish.announce]`: a message on the fedmsg bus for each new snapshot."""

    relay: str | None = Field(
        None, description="ZeroMQ endpoint of the fedmsg relay to send to; fedmsg's own fedmsg.d if not given."
    )


class PublishSection(Section):
    """`[publish]`: what is rendered, how often, and where to."""

    interval: Annotated[int, Field(ge=1)] = Field(60, description="Seconds between two publications.")
    base_url: str | None = Field(None, description="Where the site is served, for examples in its pages.")
    title: str = Field("statscache", description="The site's name, at the head of its pages.")
    examples: bool = Field(False, description="Publish pages that show what can be made of the statistics.")
    gate_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Greatest part of a document's rows that may vanish at once, from 0 to 1."
    )
    signing_keys: tuple[Path, ...] = Field(
        (), description="Files with Ed25519 private keys (PEM) that sign the index; needs statscache[signatures]."
    )
    announce: AnnounceSection | None = Field(
        None, description="Whether to announce each new snapshot on the bus; a section that is there enables it."
    )
    targets: tuple[AnyTarget, ...] = Field(
        (DirectoryTarget(name="public", type="directory", path=Path("public")),), description="Where to publish."
    )
    retention: RetentionSection = Field(RetentionSection(), description="How long snapshots are kept.")

    @field_validator("targets")
    @classmethod
    def _names_are_unique(cls, targets: tuple[AnyTarget, ...]) -> tuple[AnyTarget, ...]:
        names = [target.name for target in targets]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two targets are named {', '.join(repeated)}; give each a name of its own")
        return targets


class Config(BaseSettings):
    """Everything that can be configured, with its defaults: no file at all is a working configuration."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    database: DatabaseSection = DatabaseSection()
    bus: BusSection = BusSection()
    sources: SourcesSection = SourcesSection()
    journal: JournalSection = JournalSection()
    plugins: PluginsSection = PluginsSection()
    privacy: PrivacySection = PrivacySection()
    publish: PublishSection = PublishSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file, whose values come as arguments."""
        return env_settings, init_settings


def find(path: Path | None = None) -> Path | None:
    """Return the configuration's file: `path`, `STATSCACHE_CONFIG`, or the first of the usual places that exists."""
    if path is not None:
        return path
    if named := os.environ.get("STATSCACHE_CONFIG"):
        return Path(named)
    return next((candidate for candidate in PATHS if candidate.is_file()), None)


def load(path: Path | None = None) -> Config:
    """Return the configuration.

    Args:
        path: The file; else the one that `find` finds, else defaults.

    Raises:
        ConfigurationError: The file cannot be read or is wrong; the text lists all its errors at once.
    """
    _check_variables()
    file = find(path)
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigurationError(f"cannot read the configuration {file}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file} is no TOML: {error}") from error
    try:
        return Config(**values)
    except SettingsError as error:
        # The library tells the field and the source; what was wrong with it, the error behind.
        raise ConfigurationError(f"the environment cannot be used: {error}: {error.__cause__}") from error
    except ValidationError as error:
        raise ConfigurationError(_explain(error, file)) from error


def _check_variables() -> None:
    """Refuse variables of ours that name no section: a misspelt one would be ignored in silence."""
    names = [name for name in sorted(os.environ) if name.startswith(PREFIX) and name not in _OTHER_VARIABLES]
    unknown = [name for name in names if name.removeprefix(PREFIX).split("__")[0].lower() not in Config.model_fields]
    if unknown:
        message = (
            f"the environment sets {', '.join(unknown)}, which is no setting: a section and its key are joined by two"
            f" underscores, such as {PREFIX}PUBLISH__INTERVAL"
        )
        raise ConfigurationError(message)


def _explain(error: ValidationError, file: Path | None) -> str:
    number = "an error" if error.error_count() == 1 else f"{error.error_count()} errors"
    lines = [f"the configuration {file or 'from the environment'} has {number}:"]
    for problem in error.errors():
        *tables, name = [str(part) for part in problem["loc"]]
        where = f"[{'.'.join(tables)}] {name}" if tables else f"[{name}]"
        reason = problem["msg"]
        if problem["type"] == "extra_forbidden":
            known = ", ".join(sorted(_known(Config, problem["loc"][:-1])))
            reason = f"is unknown; known here are: {known}"
        lines.append(f"  {where}: {reason}")
    return "\n".join(lines)


def _known(model: Any, location: tuple[int | str, ...]) -> Mapping[str, Any]:
    choices = [model]
    for part in location:
        if isinstance(part, int):
            continue
        # Among several sections, the next part of the location is the `type` of the one that was chosen.
        chosen = [choice for choice in choices if len(choices) > 1 and part == _type_of(choice)]
        choices = chosen or [*_sections(_fields(choices[0])[part].annotation)]
    return _fields(choices[0])


def _fields(model: Any) -> Mapping[str, Any]:
    return {field.serialization_alias or name: field for name, field in model.model_fields.items()}


def _type_of(section: Any) -> str:
    return str(get_args(section.model_fields["type"].annotation)[0])


def _sections(annotation: Any) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)
