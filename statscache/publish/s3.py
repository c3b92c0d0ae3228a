"""The target `s3`: a bucket of Amazon S3, or of any store that speaks its protocol, perhaps behind CloudFront."""

import gzip
import hashlib
import logging
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import urllib3
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from statscache import layout
from statscache.config import S3Target as Section
from statscache.exceptions import PublishError, Refused
from statscache.publish import headers
from statscache.publish.cloudfront import CloudFront
from statscache.publish.target import File, Target

_BATCH = 1_000
_ASKED_ONE_BY_ONE = 100
_ABSENT = {"NoSuchKey", "404"}
_NOT_IN_BATCHES = {400, 405, 411, 501}
_MAY_PASS = {"RequestTimeout", "408", "409", "429"}
"""Codes of client errors for which a retry is useful."""

_RIGHTS = (
    "the credentials need s3:GetObject, s3:PutObject and s3:DeleteObject on the objects, and s3:ListBucket on the "
    "bucket, without which a missing file looks like a forbidden one"
)
_FIXES = {
    "403": _RIGHTS,
    "AccessControlListNotSupported": "the bucket has no ACLs: leave out `acl`, and make it readable by a policy",
    "AccessDenied": _RIGHTS,
    "AuthorizationHeaderMalformed": "set `region` to that of the bucket",
    "NoSuchBucket": "make the bucket first, or correct `bucket` and `endpoint_url`",
    "NotImplemented": 'the store may not know checksum headers: try `checksums = "when_required"`',
    "PermanentRedirect": "set `region` to that of the bucket",
}

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class _Held(NamedTuple):
    """A file as the store reports it: its size, and its entity tag, which is their MD5 in most stores."""

    size: int
    tag: str


class S3Target(Target):
    """A bucket. Each file is one object, written whole; its headers are those that readers get.

    Credentials are looked for by boto3 in its usual places; they are in no configuration, log or error.

    Args:
        section: The target's configuration.
    """

    def __init__(self, section: Section) -> None:
        self.name = section.name
        self.max_age = headers.MAX_AGE if section.public_url else 0
        self._section = section
        self._prefix = f"{section.prefix}/" if section.prefix else ""
        self._counting = threading.Lock()
        self._asked = 0
        self._listed: dict[str, _Held] | None = None
        self._takes_batches = True

    def _read(self, path: str) -> bytes | None:
        try:
            with self._asking("GET", path):
                found = self._client.get_object(Bucket=self._section.bucket, Key=self._prefix + path)
                data: bytes = found["Body"].read()
        except FileNotFoundError:
            return None
        if found.get("ContentEncoding") != "gzip":
            return data
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            # Damaged is not absent: the caller sees the difference and writes it again.
            return data

    def _holds(self, path: str, size: int) -> bool:
        if self._listed is None and path.startswith(layout.OBJECTS):
            # A few questions are cheaper than a listing of the bucket, and many dearer.
            self._asked += 1
            if self._asked > _ASKED_ONE_BY_ONE:
                self._listed = dict(self._list(layout.OBJECTS))
        if self._listed is not None and path.startswith(layout.OBJECTS):
            if path not in self._listed:
                return False
            if not self._encodes(path):
                return self._listed[path].size == size
        try:
            with self._asking("HEAD", path):
                found = self._client.head_object(Bucket=self._section.bucket, Key=self._prefix + path)
        except FileNotFoundError:
            return False
        if self._encodes(path):
            # The length is that of the compressed bytes; a copy that is not compressed must be replaced.
            return bool(found.get("ContentEncoding") == "gzip" and found["Metadata"].get("size") == str(size))
        return bool(found.get("ContentEncoding") != "gzip" and found["ContentLength"] == size)

    def _is_intact(self, file: File) -> bool:
        if self._listed is not None and file.path in self._listed:
            tag = self._listed[file.path].tag
        else:
            try:
                with self._asking("HEAD", file.path):
                    tag = self._client.head_object(Bucket=self._section.bucket, Key=self._prefix + file.path)["ETag"]
            except FileNotFoundError:
                return False
        # Where a store encrypts with keys of its own, its tags are not digests, and everything is written again.
        return bool(tag.strip('"') == _digest(self._stored(file)))

    def _files(self, directories: Sequence[str]) -> Iterator[str]:
        for directory in directories:
            for path, _ in self._list(f"{directory}/"):
                if not any(name.startswith(".") for name in path.split("/")):
                    yield path

    def _write(self, files: Sequence[File]) -> None:
        self._at_once(self._put, list(files))

    def _delete(self, paths: Sequence[str]) -> None:
        self._listed = None
        names = iter(paths)
        while batch := list(islice(names, _BATCH)):
            if len(batch) == 1 or not self._takes_batches:
                self._at_once(self._delete_one, batch)
            elif not self._delete_batch(batch):
                self._at_once(self._delete_one, batch)
                self._takes_batches = False
                _log.info("target %s deletes one by one: the store does not take many at once", self.name)

    def _barrier(self) -> None:
        """Do nothing: `write` and `delete` return when the store has done it durably."""

    def _read_back(self, path: str) -> bytes | None:
        if self._section.public_url is None:
            return self._read(path)
        url = f"{self._section.public_url}/{path}"
        with self._counting:
            self.requests += 1
        try:
            found = self._web.request("GET", url)
        except urllib3.exceptions.HTTPError as error:
            raise PublishError(f"GET {url}: {error}; is `public_url` where readers reach the site?") from error
        if found.status == 404:
            return None
        if found.status != 200:
            raise PublishError(f"GET {url}: HTTP {found.status}; readers must be allowed to get what is in the bucket")
        return found.data

    def invalidate(self) -> None:
        if self._cdn is not None:
            self._cdn.invalidate()

    def close(self) -> None:
        # What the bucket holds is listed again each time: another machine may have written there meanwhile. Connections
        # are kept, for the next publication is soon.
        self._asked, self._listed = 0, None

    def _encodes(self, path: str) -> bool:
        return self._section.gzip and headers.is_text(path)

    def _stored(self, file: File) -> bytes:
        """Return the bytes of a file as they are stored."""
        return gzip.compress(file.data, mtime=0) if self._encodes(file.path) else file.data

    def _put(self, file: File) -> None:
        data = self._stored(file)
        more: dict[str, Any] = {} if self._section.acl is None else {"ACL": self._section.acl}
        if self._encodes(file.path):
            more |= {"ContentEncoding": "gzip", "Metadata": {"size": str(len(file.data))}}
        with self._asking("PUT", file.path):
            self._client.put_object(
                Bucket=self._section.bucket,
                Key=self._prefix + file.path,
                Body=data,
                ContentType=headers.content_type(file.path),
                CacheControl=headers.cache_control(file.path),
                **more,
            )
        if self._listed is not None:
            self._listed[file.path] = _Held(len(data), _digest(data))

    def _delete_one(self, path: str) -> None:
        with self._asking("DELETE", path):
            self._client.delete_object(Bucket=self._section.bucket, Key=self._prefix + path)

    def _delete_batch(self, paths: Sequence[str]) -> bool:
        """Delete files with one request; return False if the store refuses the whole request."""
        keys = [{"Key": self._prefix + path} for path in paths]
        with self._asking("DELETE", f"{paths[0]} and {len(paths) - 1} more"):
            try:
                answer = self._client.delete_objects(
                    Bucket=self._section.bucket, Delete={"Objects": keys, "Quiet": True}
                )
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] not in _NOT_IN_BATCHES:
                    raise
                return False
        if refused := answer.get("Errors"):
            first = refused[0]
            raise PublishError(
                f"DELETE s3://{self._section.bucket}/{first['Key']} and {len(refused) - 1} more: "
                f"{first.get('Code')}: {first.get('Message')}"
            )
        return True

    def _list(self, below: str) -> Iterator[tuple[str, _Held]]:
        """Yield each file whose path begins so, with its details from the store."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._section.bucket, Prefix=self._prefix + below
        )
        with self._asking("LIST", below):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield found["Key"].removeprefix(self._prefix), _Held(found["Size"], found["ETag"])

    def _at_once(self, operation: Callable[[_T], None], items: Sequence[_T]) -> None:
        """Do something with each item, several at a time; return when all of it has ended."""
        # Made here, since two threads at once would make two.
        _ = self._client
        left, errors = SimpleQueue[_T](), list[BaseException]()
        for item in items:
            left.put(item)

        def work() -> None:
            try:
                while not errors:
                    self.halt.check()
                    operation(left.get_nowait())
            except Empty:
                pass
            except BaseException as error:
                errors.append(error)

        # Not an executor's: the end of the process would wait for each of its requests.
        threads = [
            threading.Thread(target=work, daemon=True) for _ in range(min(self._section.concurrency, len(items)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    @contextmanager
    def _asking(self, method: str, path: str) -> Iterator[None]:
        """Turn errors of the library into one with the place and the fix; a missing object is `FileNotFoundError`."""
        what = f"{method} s3://{self._section.bucket}/{self._prefix}{path}"
        try:
            yield
        except NoCredentialsError as error:
            raise Refused(
                f"{what}: there are no credentials. boto3 looks for them in AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, in ~/.aws, and asks the machine for its role"
            ) from error
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            if code in _ABSENT and method in ("GET", "HEAD"):
                raise FileNotFoundError(path) from error
            fix = f"; {_FIXES[code]}" if code in _FIXES else ""
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            refused = (300 <= status < 500 or code == "NotImplemented") and not {code, str(status)} & _MAY_PASS
            kind = Refused if refused else PublishError
            raise kind(f"{what}: {code}: {error.response['Error'].get('Message', '')}{fix}") from error
        except BotoCoreError as error:
            raise PublishError(f"{what}: {error}") from error

    def _count(self, **_: Any) -> None:
        with self._counting:
            self.requests += 1

    @cached_property
    def _session(self) -> Session:
        # Their debug logs hold signatures and session tokens.
        for library in ("boto3", "botocore"):
            logging.getLogger(library).setLevel(logging.WARNING)
        return Session(region_name=self._section.region)

    @cached_property
    def _client(self) -> Any:
        section = self._section
        config = Config(
            connect_timeout=section.connect_timeout,
            read_timeout=section.read_timeout,
            max_pool_connections=section.concurrency,
            request_checksum_calculation=section.checksums,
            response_checksum_validation=section.checksums,
            retries={"mode": "standard", "total_max_attempts": section.attempts},
            s3={"addressing_style": section.addressing_style},
        )
        client = self._session.client("s3", endpoint_url=section.endpoint_url, config=config)
        client.meta.events.register("before-send.s3", self._count)
        return client

    @cached_property
    def _cdn(self) -> CloudFront | None:
        if self._section.distribution_id is None:
            return None
        client = self._session.client("cloudfront")
        client.meta.events.register("before-send.cloudfront", self._count)
        path = urlsplit(self._section.public_url or "").path.strip("/")
        return CloudFront(client, self._section.distribution_id, f"{path}/" if path else "")

    @cached_property
    def _web(self) -> urllib3.PoolManager:
        timeout = urllib3.Timeout(connect=self._section.connect_timeout, read=self._section.read_timeout)
        retries = urllib3.Retry(self._section.attempts - 1, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504))
        return urllib3.PoolManager(timeout=timeout, retries=retries, headers={"Accept-Encoding": "gzip"})


def _digest(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
