"""The configuration of fedmsg that statscache's hub runs with, and whether it lets signatures be checked.

Nothing here installs Twisted's reactor, so that `config check` and other commands can use it.
"""

import importlib
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from statscache.exceptions import ConfigurationError

with warnings.catch_warnings():
    # It and what it imports are of old Pythons.
    warnings.simplefilter("ignore")
    import fedmsg.config
    import fedmsg.crypto.x509
    import fedmsg.crypto.x509_ng

ENABLED = "statscache.consumer.enabled"
"""The setting of fedmsg that turns the consumer on."""

_CERTIFICATES = {"ca_cert_location": "/etc/pki/fedmsg/ca.crt", "crl_location": None}
"""Settings of fedmsg that name a file by which signatures are checked, and the defaults that fedmsg documents for them.

Where it finds none, it asks an address that is gone.
"""


def _let_fedmsg_validate() -> None:
    """Let fedmsg check signatures with a pyOpenSSL of today, which lacks the one function that it imports from there.

    Without it, fedmsg takes no message for valid.
    """
    with suppress(ImportError):
        from cryptography import x509
        from OpenSSL import crypto

        if not hasattr(crypto, "load_crl"):
            crypto.load_crl = lambda _, text: x509.load_pem_x509_crl(text.encode())  # type: ignore[attr-defined]
            importlib.reload(fedmsg.crypto.x509_ng)
            importlib.reload(fedmsg.crypto.x509)


_let_fedmsg_validate()


def configuration(endpoints: Sequence[str] | None, validate_signatures: bool) -> dict[str, Any]:
    """Return the configuration of a hub that only reads ZeroMQ.

    Raises:
        ConfigurationError: fedmsg refuses its own configuration, or no endpoint has a form that ZeroMQ takes; or
            signatures are wanted and cannot be checked.
    """
    config: dict[str, Any] = {}
    if endpoints is None or validate_signatures:
        try:
            config.update(fedmsg.config.load_config())
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"fedmsg's configuration cannot be used: {error} It is read from *.py in /etc/fedmsg.d/ and "
                'fedmsg.d/, and has at least config = {"endpoints": {"NAME": ["tcp://HOST:PORT"]}}'
            ) from error
    for other_broker in ("amqp_broker", "stomp_broker", "stomp_uri"):
        config.pop(other_broker, None)
    if endpoints is None:
        endpoints = [endpoint for service in config["endpoints"].values() for endpoint in service]
        validate_signatures = validate_signatures or bool(config.get("validate_signatures"))
    config["validate_signatures"] = validate_signatures
    if validate_signatures:
        check_certificates(config)
    for endpoint in endpoints:
        if "localhost" in endpoint:
            raise ConfigurationError(f"fedmsg endpoint {endpoint!r}: ZeroMQ takes no localhost, write 127.0.0.1")
    return config | {
        ENABLED: True,
        "moksha.blocking_mode": True,
        "zmq_enabled": True,
        # moksha binds a socket to publish on, and warns where there is none; this one is not used.
        "zmq_publish_endpoints": "inproc://statscache",
        "zmq_subscribe_endpoints": ",".join(endpoints),
    }


def check_certificates(config: dict[str, Any]) -> None:
    """Refuse a configuration by which fedmsg would take no message for valid, and not say why.

    Raises:
        ConfigurationError: A library is missing; or a certificate is not in a file, for fedmsg would fetch it in the
            reactor's thread, again for each message while it cannot.
    """
    if "x509" not in (config.get("crypto_validate_backends") or [config.get("crypto_backend", "x509")]):
        return
    if not fedmsg.crypto.x509_ng._cryptography:
        raise ConfigurationError(
            "signatures of fedmsg cannot be checked without the extra statscache[signatures]; they are required by"
            " validate_signatures in [sources.fedmsg] or in fedmsg.d"
        )
    for setting, default in _CERTIFICATES.items():
        location = config.setdefault(setting, default)
        try:
            # A list of revoked certificates need not be.
            Path(location or os.devnull).read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigurationError(
                f"signatures of fedmsg cannot be checked: {location} cannot be read: {reason}. Name a PEM file in"
                f' fedmsg.d: config = {{"{setting}": "/PATH/FILE"}}'
            ) from error
