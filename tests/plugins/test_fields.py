"""Plugins read bodies that hold anything anywhere: they get what they asked for, or nothing."""

from typing import Any

import pytest

from statscache.plugins import fields

BODY: dict[str, Any] = {
    "task": {"id": 7, "weight": 0.5, "whole": 7.0, "done": True, "name": "image", "none": None},
    "arches": ["x86_64", 5, None, "", {"arch": "arm"}, ["s390x"], "aarch64"],
    "url": "https://example.org/a?b=c",
}


@pytest.mark.parametrize(
    ("read", "path", "found"),
    [
        (fields.value, ("task", "none"), None),
        (fields.value, ("arches", "0"), None),
        (fields.value, ("task", "id", "more"), None),
        (fields.text, ("task", "name"), "image"),
        (fields.text, ("task", "id"), None),
        (fields.text, ("task",), None),
        (fields.text, ("absent", "absent"), None),
        (fields.number, ("task", "id"), 7),
        (fields.number, ("task", "whole"), 7),
        (fields.number, ("task", "weight"), None),
        (fields.number, ("task", "done"), None),
        (fields.number, ("task", "name"), None),
        (fields.items, ("arches",), BODY["arches"]),
        (fields.items, ("task",), []),
        (fields.texts, ("arches",), ["x86_64", "aarch64"]),
        (fields.texts, ("url",), []),
        (fields.entries, ("task",), [("name", "image")]),
        (fields.entries, ("arches",), []),
        (fields.url, ("url",), "https://example.org/a?b=c"),
        (fields.url, ("task", "name"), None),
    ],
)
def test_what_is_of_another_type_is_not_found(read: Any, path: tuple[str, ...], found: Any) -> None:
    """Each accessor returns values of its own type alone, and never raises."""
    assert read(BODY, *path) == found


@pytest.mark.parametrize("body", [None, "text", 5, [], [{"task": 1}]])
def test_what_is_no_object_has_no_fields(body: Any) -> None:
    """A body may be anything."""
    assert fields.text(body, "task", "name") is None
    assert fields.number(body, "task", "id") is None
    assert fields.texts(body, "arches") == []


def test_empty_and_endless_text_is_no_text() -> None:
    """What the bus says becomes a key only if it is short."""
    assert fields.text({"name": ""}, "name") is None
    assert fields.text({"name": "n" * fields.LONGEST}, "name") is not None
    assert fields.text({"name": "n" * (fields.LONGEST + 1)}, "name") is None


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "ftp://example.org/", "https://a b", 'http://x/"', "https://x/<", "https://x/\u202e"]
)
def test_a_dangerous_url_is_none(url: str) -> None:
    """Only what is safe as a link is an URL."""
    assert fields.url({"url": url}, "url") is None


def test_a_float_that_is_no_number_of_anything_is_none() -> None:
    """Beyond 2^53 a float names no whole number."""
    assert fields.number({"id": 1e300}, "id") is None


def test_entries_have_the_order_of_their_keys() -> None:
    """A live message has the sender's order and the journal's record sorts, so that neither may show."""
    assert fields.entries({"b": "1", "c": "0", "a": "2"}) == [("a", "2"), ("b", "1"), ("c", "0")]
