"""An authority of the tests' own, which certifies a server on the loopback and a client, or who signs messages."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """An authority, a certificate that it gave to the loopback, and one that it gave to a client.

    Args:
        directory: Where the files go.
        client: Name of the client.

    Attributes:
        certificate: The authority's own certificate, by which others know it.
        key: Private key of the server.
        chain: Certificate of the server.
        client_key: Private key of the client.
        client_chain: Certificate of the client.
    """

    def __init__(self, directory: Path, client: str = "a client") -> None:
        self.certificate, self.key, self.chain, self.client_key, self.client_chain = (
            directory / f"{name}.pem" for name in ("ca", "key", "server", "client-key", "client")
        )
        self._name = _named("an authority")
        self._key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate.write_bytes(self._signed(self._name, self._key, authority))
        loopback = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        self._certify(x509.Name([]), self.key, self.chain, loopback)
        self._certify(_named(client), self.client_key, self.client_chain)

    def _certify(self, subject: x509.Name, key: Path, chain: Path, *extensions: x509.ExtensionType) -> None:
        theirs = ec.generate_private_key(ec.SECP256R1())
        chain.write_bytes(self._signed(subject, theirs, *extensions))
        key.touch(0o600)
        key.write_bytes(theirs.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType) -> bytes:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


class Sender:
    """Who signs messages of fedmsg, by a certificate of an authority of its own.

    Args:
        directory: Where the files go.

    Attributes:
        authority: The authority's certificate.
        revoked: The authority's list of revoked certificates: empty, or with the sender's own after `revoke`.
    """

    def __init__(self, directory: Path) -> None:
        self.authority, self.revoked = directory / "fedmsg-ca.crt", directory / "fedmsg-crl.pem"
        self._ours, self._theirs = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        self._name = _named("an authority")
        self.authority.write_bytes(self._certified(self._name, self._ours).public_bytes(Encoding.PEM))
        self._certificate = self._certified(_named("bodhi.example.org"), self._theirs)
        self._write_revoked([])

    def signed(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return a message with signature and certificate, as `fedmsg.crypto.sign` makes them."""
        body = {**message, "crypto": "x509"}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        signature = self._theirs.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1())
        parts = {"signature": signature, "certificate": self._certificate.public_bytes(Encoding.PEM)}
        return body | {name: base64.encodebytes(part).decode() for name, part in parts.items()}

    def revoke(self) -> None:
        """Revoke the sender's certificate."""
        self._write_revoked([self._certificate.serial_number])

    def _certified(self, subject: x509.Name, key: rsa.RSAPrivateKey) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        is_authority = x509.BasicConstraints(ca=subject == self._name, path_length=None)
        return builder.add_extension(is_authority, critical=True).sign(self._ours, hashes.SHA256())

    def _write_revoked(self, numbers: list[int]) -> None:
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(self._name, now - timedelta(hours=1), now + timedelta(days=1))
        for number in numbers:
            revoked = x509.RevokedCertificateBuilder(number, now - timedelta(minutes=1)).build()
            builder = builder.add_revoked_certificate(revoked)
        self.revoked.write_bytes(builder.sign(self._ours, hashes.SHA256()).public_bytes(Encoding.PEM))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
