"""Signing pointers with Ed25519 keys in files; `statscache.signatures` says what is signed and checks it."""

import base64
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from statscache.schemas import Signature
from statscache.signatures import ALGORITHM, KeyFileError, key_id, require_cryptography

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_keys(paths: Iterable[Path]) -> list["Ed25519PrivateKey"]:
    """Return the private keys in PEM files.

    Raises:
        KeyFileError: `cryptography` is not installed, or a file cannot be read, is open to other users, or holds no
            Ed25519 private key without a passphrase.
    """
    return [load_key(path) for path in paths]


def load_key(path: Path) -> "Ed25519PrivateKey":
    """Return the private key in a PEM file.

    Raises:
        KeyFileError: As for `load_keys`.
    """
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"cannot read the private key {path}: {error.strerror}") from error
    if mode & _OTHERS:
        open_to = f"is open to other users (mode {stat.S_IMODE(mode):o})"
        raise KeyFileError(f"the private key {path} {open_to}: `chmod 600 {path}`, or make a new key")
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise KeyFileError(f"the private key {path} has a passphrase, which a service cannot type") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(_expected(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(_expected(path))
    return key


def sign(keys: Sequence["Ed25519PrivateKey"], data: bytes) -> list[Signature]:
    """Return the signature of `data` by each key, in order, as the pointer holds them.

    Args:
        keys: The keys; several while one takes over from another.
        data: What `statscache.signatures.signed_bytes` returns.
    """
    return [
        {
            "algorithm": ALGORITHM,
            "key": key_id(key.public_key()),
            "signature": base64.b64encode(key.sign(data)).decode(),
        }
        for key in keys
    ]


def _expected(path: Path) -> str:
    return f"{path} holds no Ed25519 private key: expected PEM, as `openssl genpkey -algorithm ed25519` makes it"
