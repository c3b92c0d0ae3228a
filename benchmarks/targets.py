"""Targets: requests, bytes and seconds of a publication of which few or many documents changed, at each place."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from benchmarks.installed import install
from benchmarks.publishing import MANY, message
from benchmarks.result import Result
from statscache.ingest import Delivery
from statscache.service.publishing import Publishing

CHANGED = (1, 1_000)
"""Documents that change from one publication to the next."""

_BATCH = 5_000
_BUCKET = "benchmark"
_PATIENCE = 60.0


def measure(directory: Path) -> list[Result]:
    """Publish a site of `MANY` documents to a directory, by rsync, and to an S3 server on the loopback, all at once."""
    place = directory / "targets"
    place.mkdir()
    with _s3_server(place) as endpoint:
        targets: list[dict[str, Any]] = [
            {"name": "directory", "type": "directory", "path": place / "public"},
            {"name": "s3", "type": "s3", "bucket": _BUCKET, "region": "us-east-1", "endpoint_url": endpoint},
        ]
        if shutil.which("rsync"):
            targets.append({"name": "rsync", "type": "rsync", "destination": f"{place / 'mirror'}/"})
        return _publications(place, targets)


def _publications(place: Path, targets: list[dict[str, Any]]) -> list[Result]:
    installation = install(place, targets)
    publishing = Publishing(installation)
    for start in range(0, MANY, _BATCH):
        lines = [message(number, number) for number in range(start, start + _BATCH)]
        installation.ingest.take(Delivery("benchmark", lines))
    publishing.publish()
    results = []
    sent = MANY
    for changed in CHANGED:
        installation.ingest.take(Delivery("benchmark", [message(sent + number, number) for number in range(changed)]))
        sent += changed
        for report in publishing.publish()[1]:
            note = f"{report.requests:,} requests, {report.bytes:,} bytes"
            what = f"{report.target}: publish of {changed:,} changed of {MANY:,}"
            results.append(Result(what, report.seconds, "s", note=note))
    installation.close()
    return sorted(results, key=lambda result: result.what)


@contextmanager
def _s3_server(directory: Path) -> Iterator[str]:
    """Give the endpoint of an S3 server of its own, in memory, with an empty bucket."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    os.environ |= {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark"}
    log = (directory / "s3.log").open("wb")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the S3 server did not start: {(directory / 's3.log').read_text()[-500:]}")
            time.sleep(0.1)
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=_BUCKET)
        yield endpoint
    finally:
        server.kill()
        server.wait()
        log.close()
