"""Signatures of published snapshots: the signed bytes, the ids of keys, and the check of signatures.

The whole index is signed with Ed25519, except the signatures themselves. The snapshot's id in it is the digest of the
root manifest, so it covers everything else. An index may carry several signatures, so that a key can be replaced. This
needs `cryptography` (the extra `signatures`), which is imported only where a key is used.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from statscache.exceptions import ConfigurationError, StatscacheError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ALGORITHM: Literal["ed25519"] = "ed25519"


class KeyFileError(ConfigurationError):
    """A file has no usable key; the text names the file, what was expected and how to fix it."""


class BadSignature(StatscacheError, ValueError):
    """No trusted key signed the index, or a signature is forged; do not use what the index refers to."""


def signed_bytes(index: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed: a line that names the form, and the digest of the index.

    The digest is that of the index in canonical form without its field `signatures`. It is computed from the values,
    not from the bytes that were read, so a reader uses exactly what was signed. It uses the standard library, because
    the client needs nothing else; for an index, `statscache.canonical` gives the same bytes.

    Args:
        index: The content of the index.

    Raises:
        ValueError: The index holds text that is not Unicode.
    """
    covered = {name: value for name, value in index.items() if name != "signatures"}
    text = json.dumps(covered, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(f"{text}\n".encode()).hexdigest()
    return f"statscache/v2\n{digest}\n".encode()


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
    """Check that signatures can be made and checked.

    Raises:
        KeyFileError: `cryptography` is not installed.
    """
    try:
        import cryptography  # noqa: F401 - only to see whether it is installed
    except ModuleNotFoundError as error:
        raise KeyFileError("signatures need cryptography: install statscache[signatures]") from error


def check(index: Mapping[str, Any], keys: Sequence["Ed25519PublicKey"]) -> list[str]:
    """Return the ids of the trusted keys by which the index is signed.

    Args:
        index: The content of the index.
        keys: The keys that are trusted; one signature by one of them is enough.

    Raises:
        BadSignature: None of the signatures is by a trusted key, or one that claims to be is not.
    """
    from cryptography.exceptions import InvalidSignature

    trusted = {key_id(key): key for key in keys}
    try:
        signed = signed_bytes(index)
    except (ValueError, RecursionError) as error:
        raise BadSignature(f"the index cannot have been signed in this form: {error}") from error
    good, others = [], []
    for signature in index["signatures"]:
        name = signature.get("key") if isinstance(signature, dict) else None
        if not isinstance(name, str) or name not in trusted or signature.get("algorithm") != ALGORITHM:
            others.append(str(name))
            continue
        try:
            trusted[name].verify(base64.b64decode(str(signature.get("signature")), validate=True), signed)
        except (InvalidSignature, binascii.Error) as error:
            raise BadSignature(f"the signature by the key {name} does not fit the index: it was altered") from error
        good.append(name)
    if not good:
        there = ", ".join(others) or "none"
        raise BadSignature(f"no signature is by a trusted key ({', '.join(trusted)}); there are signatures by: {there}")
    return good


def _expected(path: Path) -> str:
    return f"{path} holds no Ed25519 public key: expected PEM, as `openssl pkey -in PRIVATE -pubout` makes it"
