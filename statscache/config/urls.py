"""Addresses in the configuration: of the web, and without secrets, since they are shown, logged and published."""

from urllib.parse import urlsplit


def check(url: str, instead: str) -> str:
    """Return the address without the slashes at its end.

    Args:
        url: The address.
        instead: What to do with credentials instead of writing them here.

    Raises:
        ValueError: It is not a web address, or holds credentials; the text shows neither.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        # The port is read here because its error quotes it: it may be a password whose @ is encoded.
        is_address = is_address and parts.port != 0
    except ValueError:
        is_address = False
    # A secret may hold slashes, so the @ after it is not part of the host.
    if "@" in url:
        raise ValueError(f"must not hold credentials; {instead}")
    if not is_address:
        raise ValueError("must be an address such as https://host/path")
    return url.rstrip("/")


def check_endpoint(endpoint: str) -> str:
    """Return an endpoint of ZeroMQ.

    Raises:
        ValueError: It holds credentials; the text does not show them.
    """
    # A socket of Linux without a file has a name that begins so: ipc://@name.
    if "@" in endpoint and not endpoint.startswith("ipc:"):
        raise ValueError("must not hold credentials, which ZeroMQ does not use; write tcp://HOST:PORT")
    return endpoint
