"""A hostile sender: valid messages that try to make keys, documents or work explode."""

import random

import orjson

_NAMES = ["<script>alert(1)</script>", "\u202egnp.exe", "../../x", "=1+1", "\u0007"]

SHARE = 20
"""One message in so many is hostile."""


def message(rng: random.Random, number: int, timestamp: int) -> bytes:
    """Return a hostile message in fedora-messaging's envelope.

    Args:
        rng: Chooses what it tries.
        number: Makes its id unlike all others.
        timestamp: Seconds since 1970 UTC of the traffic around it.
    """
    topic, body, users = rng.choice(_TRICKS)(rng)
    envelope = {
        "id": f"hostile-{number}",
        "topic": f"org.fedoraproject.prod.{topic}",
        "timestamp": timestamp,
        "headers": {f"fedora_messaging_user_{user}": True for user in users},
        "body": body,
    }
    return orjson.dumps(envelope)


def _crowd(rng: random.Random) -> tuple[str, object, list[str]]:
    return "wiki.article.edit", {}, [f"mob{rng.randrange(10**6)}" for _ in range(300)]


def _category(rng: random.Random) -> tuple[str, object, list[str]]:
    return f"x-{rng.randrange(10**6)}.{'y' * rng.randrange(1, 300)}", {}, []


def _names(rng: random.Random) -> tuple[str, object, list[str]]:
    return "wiki.article.edit", {}, rng.sample(_NAMES, 2)


def _text(rng: random.Random) -> tuple[str, object, list[str]]:
    piece = rng.choice(["a@", "https://x/", "1.2.3.4 ", "{" * 9, "\\u0000 ".strip()])
    return "git.receive", {"commit": {"summary": piece * 20_000, "username": "mallory"}}, ["mallory"]


def _depth(rng: random.Random) -> tuple[str, object, list[str]]:
    body: object = 2 ** rng.randrange(50, 64)
    for _ in range(45):
        body = {"x": [body]}
    return "buildsys.build.state.change", {"name": "x" * 9_000, "new": body, "release": "9" * 9_000}, []


_TRICKS = (_crowd, _category, _names, _text, _depth)
