"""Signatures of published snapshots: what is signed, how keys are named, and whether a signature holds.

A pointer is signed with Ed25519 over its generation, snapshot and times; everything else follows from the snapshot's
id, which is the digest of its root manifest. Several signatures may stand side by side, so that a key can be changed.
This needs `cryptography` (the extra `signatures`), which is imported only where a key is used.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from statscache.exceptions import ConfigurationError, StatscacheError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ALGORITHM: Literal["ed25519"] = "ed25519"


class KeyFileError(ConfigurationError):
    """A file holds no key that can be used; the text names the file, what was expected and the mend."""


class BadSignature(StatscacheError, ValueError):
    """No signature of the pointer is by a key that is trusted, or one is forged; do not use what it points to."""


def signed_bytes(generation: int, snapshot: str, generated_at: int, expires_at: int) -> bytes:
    """Return the bytes that a signature signs; times are seconds since 1970 UTC."""
    return f"statscache/v1\n{generation}\n{snapshot}\n{generated_at}\n{expires_at}\n".encode()


def key_id(key: "Ed25519PublicKey") -> str:
    """Return the name of a key in signatures: the first 16 hexadecimal digits of the SHA-256 of its 32 raw bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def load_public_keys(paths: Iterable[Path]) -> list["Ed25519PublicKey"]:
    """Return the public keys in PEM files.

    Raises:
        KeyFileError: A file cannot be read or holds no Ed25519 public key, or `cryptography` is not installed.
    """
    return [load_public_key(path) for path in paths]


def load_public_key(path: Path) -> "Ed25519PublicKey":
    """Return the public key in a PEM file.

    Raises:
        KeyFileError: The file cannot be read or holds no Ed25519 public key, or `cryptography` is not installed.
    """
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise KeyFileError(f"cannot read the public key {path}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(_expected(path)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(_expected(path))
    return key


def require_cryptography() -> None:
    """Do nothing where signatures can be made and checked.

    Raises:
        KeyFileError: `cryptography` is not installed.
    """
    try:
        import cryptography  # noqa: F401 - whether it is there is the question
    except ModuleNotFoundError as error:
        raise KeyFileError("signatures need cryptography: install statscache[signatures]") from error


def check(index: Mapping[str, Any], keys: Sequence["Ed25519PublicKey"]) -> list[str]:
    """Return the ids of the trusted keys by which the pointer is signed.

    Args:
        index: The content of the index.
        keys: The keys that are trusted; one signature by one of them is enough.

    Raises:
        BadSignature: None of the signatures is by a trusted key, or one that claims to be is not.
    """
    from cryptography.exceptions import InvalidSignature

    trusted = {key_id(key): key for key in keys}
    signed = signed_bytes(index["generation"], index["snapshot"], index["generated_at"], index["expires_at"])
    good, others = [], []
    for signature in index["signatures"]:
        name = signature.get("key") if isinstance(signature, dict) else None
        if not isinstance(name, str) or name not in trusted or signature.get("algorithm") != ALGORITHM:
            others.append(str(name))
            continue
        try:
            trusted[name].verify(base64.b64decode(str(signature.get("signature")), validate=True), signed)
        except (InvalidSignature, binascii.Error) as error:
            raise BadSignature(f"the signature by the key {name} does not fit the pointer: it was altered") from error
        good.append(name)
    if not good:
        there = ", ".join(others) or "none"
        raise BadSignature(f"no signature is by a trusted key ({', '.join(trusted)}); there are signatures by: {there}")
    return good


def _expected(path: Path) -> str:
    return f"{path} holds no Ed25519 public key: expected PEM, as `openssl pkey -in PRIVATE -pubout` makes it"
