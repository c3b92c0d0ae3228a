"""The sections under `[[publish.targets]]`: the places that are published to."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, field_validator

from statscache.config import urls
from statscache.config.section import Section


class _Target(Section):
    """What all targets have."""

    name: str = Field(description="Its name in status and on the command line.", pattern=r"^[a-z][a-z0-9-]*$")
    time_limit: Annotated[float, Field(gt=0)] = Field(
        1800.0, description="Seconds that one publication to it may take; the next one continues."
    )


class DirectoryTarget(_Target):
    """`[[publish.targets]]` of type `directory`: a directory of this machine."""

    type: Literal["directory"] = Field("directory", description="The kind of the target.")
    path: Path = Field(description="The directory.")
    precompress: tuple[Literal["gz", "br", "zst"], ...] = Field(
        ("gz",), description="Compressed siblings laid beside each file, for the web server to send unchanged."
    )

    @property
    def place(self) -> str:
        """Where the files are, independent of the target's name."""
        return str(self.path.absolute())


class RsyncTarget(_Target):
    """`[[publish.targets]]` of type `rsync`: a directory here, behind ssh, or in a module of an rsync daemon."""

    type: Literal["rsync"] = Field(description="The kind of the target.")
    destination: str = Field(description="A local path, `host:path`, or `rsync://host/module/path`.")
    rsh: str = Field("ssh -o BatchMode=yes", description="Command that logs in to the host of `host:path`.")
    password_file: Path | None = Field(
        None, description="File with the password of the daemon's module, readable by its owner only."
    )
    timeout: Annotated[int, Field(ge=1)] = Field(60, description="Seconds for which the other side may be silent.")
    precompress: tuple[Literal["gz", "br", "zst"], ...] = Field(
        ("gz",), description="Compressed siblings laid beside each file, for the web server to send unchanged."
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

    @field_validator("rsh")
    @classmethod
    def _rsh_is_a_command(cls, rsh: str) -> str:
        try:
            program, *_ = shlex.split(rsh)
        except ValueError:
            program = ""
        # The program is named in errors, and a variable may be a password.
        if not program or "=" in program:
            raise ValueError("must be a program and its arguments, such as ssh -o BatchMode=yes; it is not for a shell")
        return rsh

    @property
    def place(self) -> str:
        """Where the files are, independent of the target's name."""
        return self.destination


class S3Target(_Target):
    """`[[publish.targets]]` of type `s3`: a bucket; credentials come from where boto3 looks for them."""

    type: Literal["s3"] = Field(description="The kind of the target.")
    bucket: Annotated[str, Field(min_length=1)] = Field(description="The bucket; it exists already.")
    prefix: str = Field("", description="Where in the bucket the site's root is, such as `stats`.")
    region: str | None = Field(None, description="Region of the bucket; what boto3 finds if not given.")
    endpoint_url: str | None = Field(None, description="URL of a store other than Amazon's.")
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Where the bucket's name goes: in the path or the host of URLs."
    )
    acl: str | None = Field(None, description="Canned ACL of each file, such as `public-read`; none if not given.")
    gzip: bool = Field(False, description="Store text compressed, and send it compressed to all readers.")
    checksums: Literal["when_supported", "when_required"] = Field(
        "when_supported", description="When boto3 adds checksum headers, which some stores do not understand."
    )
    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(16, description="Requests at a time.")
    connect_timeout: Annotated[float, Field(gt=0)] = Field(5.0, description="Seconds that connecting may take.")
    read_timeout: Annotated[float, Field(gt=0)] = Field(
        30.0, description="Seconds without an answer after which an attempt fails."
    )
    attempts: Annotated[int, Field(ge=1)] = Field(3, description="Attempts of each request.")
    public_url: str | None = Field(
        None, description="Where readers get the files, such as a CDN; the index is read back from there."
    )
    distribution_id: str | None = Field(None, description="CloudFront distribution before the bucket.")

    @property
    def place(self) -> str:
        """Where the files are, independent of the target's name."""
        return f"{self.endpoint_url or 's3:/'}/{self.bucket}/{self.prefix}".rstrip("/")

    @field_validator("prefix")
    @classmethod
    def _prefix_is_bare(cls, prefix: str) -> str:
        return prefix.strip("/")

    @field_validator("endpoint_url", "public_url")
    @classmethod
    def _url_holds_no_credentials(cls, url: str | None) -> str | None:
        return None if url is None else urls.check(url, "they come from where boto3 looks for them")


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
