import json
import pickle
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statscache import canonical
from statscache.exceptions import MalformedMessage
from statscache.message import Message
from statscache.parsing import MAX_DEPTH, MAX_ID, MAX_TOPIC, parse

TOPIC = "org.fedoraproject.prod.buildsys.build.state.change"
TIME = 1438992000
BODY = {"name": "kernel", "owner": "ralph", "new": 1}
USER = {"fedora_messaging_user_ralph": True}


def fedmsg(**fields: Any) -> bytes:
    """A message as fedmsg sends it, with `fields` set, and those set to None left out."""
    envelope = {
        "topic": TOPIC,
        "msg": BODY,
        "msg_id": "2015-1",
        "timestamp": TIME,
        "i": 1,
        "username": "koji",
    }
    return json.dumps({key: value for key, value in (envelope | fields).items() if value is not None}).encode()


def test_fedmsg() -> None:
    """The envelope of fedmsg gives id, topic, time and body, and the sending service's account nowhere."""
    message = parse(fedmsg(crypto="x509", signature="abc", certificate="def"))
    assert (message.id, message.topic, message.timestamp) == ("2015-1", TOPIC, TIME)
    assert message.body == BODY
    assert message.headers == {}
    assert b"koji" not in message.record()


def test_one_message_in_five_envelopes() -> None:
    """The same message has the same record, whichever bus or history server hands it over."""
    headers = {**USER, "fedora_messaging_schema": "koji", "fedora_messaging_rpm_kernel": True}
    sent = headers | {"sent-at": "2015-08-08T00:00:00.75+00:00"}
    amqp = {"topic": TOPIC, "body": BODY, "id": "2015-1", "headers": sent, "queue": "q", "severity": 20}
    history = {
        "topic": TOPIC,
        "msg": BODY,
        "msg_id": "2015-1",
        "timestamp": float(TIME),
        "headers": headers,
        "agent_name": "somebody",
        "users": ["somebody"],
        "packages": ["something"],
        "category": "buildsys",
        "username": None,
        "crypto": None,
    }
    envelopes = [
        amqp,
        amqp | {"queue": None, "priority": 0},
        history,
        history | {"headers": sent, "meta": {"usernames": ["nobody"], "subtitle": "…"}},
        {"topic": TOPIC, "msg": BODY, "msg_id": "2015-1", "timestamp": TIME, "headers": headers},
    ]
    records = {parse(json.dumps(envelope).encode()).record() for envelope in envelopes}
    expected = canonical.encode(
        [
            "2015-1",
            TOPIC,
            TIME,
            BODY,
            {"fedora_messaging_rpm_kernel": True, "fedora_messaging_user_ralph": True},
        ]
    )
    assert records == {expected}


def test_headers_that_are_kept() -> None:
    """Only headers that name people and packages are kept, and only those are part of the content."""
    kept = {f"fedora_messaging_{kind}_x": True for kind in ("user", "rpm", "container", "flatpak", "module")}
    message = parse(fedmsg(headers=kept | {"sent-at": "2015", "fedora_messaging_severity": 20}))
    assert message.headers == kept
    assert message.content == canonical.encode([TOPIC, TIME, BODY, kept])


@pytest.mark.parametrize("headers", [[], "user", 3, {}, {"sent-at": "2015-08-08T00:00:00Z"}])
def test_headers_of_no_use(headers: Any) -> None:
    """Headers that are not objects, or name no one, leave a message as it is without any."""
    assert parse(fedmsg(headers=headers)).record() == parse(fedmsg()).record()


@pytest.mark.parametrize(
    ("topic", "category", "environment", "name"),
    [
        (TOPIC, "buildsys", "prod", "buildsys.build.state.change"),
        ("io.pagure.stg.pagure.issue.new", "pagure", "stg", "pagure.issue.new"),
        ("org.fedoraproject.prod.planet", "planet", "prod", "planet"),
        ("org.fedoraproject.dev", None, "dev", "org.fedoraproject.dev"),
        ("logger.log", None, None, "logger.log"),
        ("hello", None, None, "hello"),
        ("VirtualTopic.eng.brew.build.complete", "brew", None, "brew.build.complete"),
        ("VirtualTopic.eng", None, None, "VirtualTopic.eng"),
        ("a.b.c..d", "", "c", ".d"),
    ],
)
def test_topic(topic: str, category: str | None, environment: str | None, name: str) -> None:
    """Category, environment and name are parts of the topic; a short topic lacks some of them."""
    message = parse(fedmsg(topic=topic))
    assert (message.category, message.environment, message.name) == (category, environment, name)


@pytest.mark.parametrize(
    "timestamp",
    [
        TIME,
        float(TIME),
        TIME + 0.999,
        str(TIME),
        f"{TIME}.5",
        "2015-08-08T00:00:00+00:00",
        "2015-08-08T00:00:00.9Z",
        "2015-08-08T00:00:00",
        "2015-08-08 12:00:00+12:00",
        "2015-08-08",
    ],
)
def test_time(timestamp: Any) -> None:
    """Numbers and ISO 8601, where no zone means UTC, are floored to whole seconds, in both places."""
    assert parse(fedmsg(timestamp=timestamp)).timestamp == TIME
    assert parse(fedmsg(timestamp=None, headers={"sent-at": timestamp})).timestamp == TIME


@pytest.mark.parametrize("timestamp", [0, 0.0, 0.5, 253402300799, 253402300799.5])
def test_time_at_the_ends(timestamp: float) -> None:
    """The first second of 1970 and the last of 9999 are times."""
    assert parse(fedmsg(timestamp=timestamp)).timestamp == int(timestamp)


@pytest.mark.parametrize(
    "timestamp",
    [
        -1,
        -0.5,
        253402300800,
        1e300,
        2**64,
        True,
        [],
        {},
        "",
        "soon",
        "-5",
        "1e9",
        "1_000",
        "٣",
        "NaN",
        "1" * 30,
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "10000-01-01",
    ],
)
def test_no_time(timestamp: Any) -> None:
    """What is not a time in the years 1970 to 9999 is refused, with the field, in both places."""
    with pytest.raises(MalformedMessage, match=r"^timestamp is .*: expected seconds since 1970 or ISO 8601"):
        parse(fedmsg(timestamp=timestamp))
    with pytest.raises(MalformedMessage, match=r"^headers.sent-at is "):
        parse(fedmsg(timestamp=None, headers={"sent-at": timestamp}))


def test_times_are_utc() -> None:
    """The machine's time zone plays no part."""
    assert datetime.fromtimestamp(parse(fedmsg(timestamp="2015-08-08")).timestamp, UTC).hour == 0


@pytest.mark.parametrize("missing", [{}, {"msg_id": ""}, {"id": None}])
def test_missing_id(missing: dict[str, Any]) -> None:
    """A message without an id is identified by its topic, whole second and body, not by its headers."""
    envelope = {"topic": TOPIC, "msg": BODY, "timestamp": TIME + 0.5, "headers": USER} | missing
    expected = canonical.digest(canonical.encode([TOPIC, TIME, BODY]))
    assert parse(json.dumps(envelope).encode()).id == expected


@pytest.mark.parametrize("field", ["msg_id", "id"])
@pytest.mark.parametrize("id", [17, 1.5, True, ["a"], {"a": 1}, "x" * (MAX_ID + 1)])
def test_id_that_is_none(field: str, id: Any) -> None:
    """An id that is not text, or a very long one, is refused rather than guessed at."""
    with pytest.raises(MalformedMessage, match=f"^{field} is .*: expected text of at most 500 characters"):
        parse(fedmsg(**{"msg_id": None, field: id}))


def test_longest_id() -> None:
    """An id of the greatest length is accepted."""
    assert parse(fedmsg(msg_id="x" * MAX_ID)).id == "x" * MAX_ID


@pytest.mark.parametrize("body", ["text", "", ["a", {"b": 1}], 7, 1.5, False])
def test_body_that_is_no_object(body: Any) -> None:
    """Old messages may say text or a list: plugins see an empty body, the content is what was sent."""
    message = parse(fedmsg(msg=body))
    assert message.body == {}
    assert message.content == canonical.encode([TOPIC, TIME, body])
    assert Message.from_record(message.record()).record() == message.record()


def test_body_that_is_missing() -> None:
    """A message without a body says null, as one that says so."""
    missing = parse(fedmsg(msg=None))
    null = parse(json.dumps({"topic": TOPIC, "msg": None, "msg_id": "2015-1", "timestamp": TIME}).encode())
    assert missing.record() == null.record() == canonical.encode(["2015-1", TOPIC, TIME, None])


def test_last_of_duplicate_keys_wins() -> None:
    """A key that occurs twice has its last value."""
    raw = b'{"topic":"a","topic":"b","timestamp":1,"msg":{"x":1,"x":2}}'
    assert parse(raw).content == b'["b",1,{"x":2}]'


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b"\x00\x01\x02", "not JSON"),
        (b'{"topic":"a","timestamp":1', "not JSON: .*line 1 column 27"),
        (b'\xef\xbb\xbf{"topic":"a"}', "not JSON"),
        (b'{"topic":"a","timestamp":1,"msg":"\xff"}', "not JSON: .*UTF-8"),
        (b'{"topic":"a","timestamp":1,"msg":"\xed\xa0\x80"}', "not JSON"),
        (rb'{"topic":"a","timestamp":1,"msg":"\ud800"}', "not JSON: .*surrogate.* column 3"),
        (rb'{"topic":"a","timestamp":1,"msg":{"\udc00":1}}', "not JSON: .*surrogate"),
        (b'{"topic":"a","timestamp":NaN}', "not JSON"),
        (b'{"topic":"a","timestamp":1,"msg":[Infinity]}', "not JSON"),
        (b'{"topic":"a","timestamp":1,"msg":1e999}', "not JSON: .*infinity"),
        (b'{"topic":"a","timestamp":1}\n{}', "not JSON"),
        (b"[]", "JSON, but an array: expected an object with topic and timestamp"),
        (b'"topic"', "JSON, but text"),
        (b"null", "JSON, but null"),
        (b"17", "JSON, but a number"),
        (b"{}", "no topic: expected text of 1 to 1000 characters"),
        (b'{"topic":"","timestamp":1}', "topic is ''"),
        (b'{"topic":7,"timestamp":1}', "topic is 7"),
        (b'{"topic":{"a":1},"timestamp":1}', "topic is an object"),
        (b'{"topic":"a"}', "no timestamp: expected timestamp or headers.sent-at"),
        (b'{"topic":"a","timestamp":null,"headers":[]}', "no timestamp"),
        (rb'{"topic":"a\u0000","timestamp":1}', r"topic holds a NUL character \(\\u0000\)"),
        (rb'{"topic":"a","timestamp":1,"msg":{"a":[0,{"b":"\u0000"}]}}', r"msg\.a\[1\]\.b holds a NUL"),
        (rb'{"topic":"a","timestamp":1,"body":{"a":{"\u0000":1}}}', r"a key of body\.a holds a NUL"),
        (rb'{"topic":"a","timestamp":1,"msg_id":"\u0000"}', "msg_id holds a NUL"),
        (
            rb'{"topic":"a","timestamp":1,"headers":{"fedora_messaging_user_\u0000":true}}',
            "a key of headers holds a NUL",
        ),
        (b'{"topic":"a","timestamp":1,"msg":18446744073709551616}', "msg is an integer beyond 64 bits"),
        (
            b'{"topic":"a","timestamp":1,"msg":{"n":[-9223372036854775809]}}',
            r"msg\.n\[0\] is an integer beyond",
        ),
        (
            b'{"topic":"a","timestamp":1,"msg":[1' + b"0" * 300 + b"]}",
            r"msg\[0\] is an integer beyond 64 bits",
        ),
        (b'{"topic":"a","timestamp":1,"msg":' + b"9" * 5000 + b"}", "not JSON: .*infinity"),
    ],
)
def test_malformed(raw: bytes, reason: str) -> None:
    """What is not a message is refused with a reason that says what is wrong, and where."""
    with pytest.raises(MalformedMessage, match=f"^{reason}"):
        parse(raw)


def test_long_topic() -> None:
    """A topic is accepted up to its longest, and not beyond; the reason does not repeat all of it."""
    assert parse(fedmsg(topic="t" * MAX_TOPIC)).topic == "t" * MAX_TOPIC
    with pytest.raises(MalformedMessage, match=r"^topic is 't{60}'… \(1001 characters\): expected text") as refused:
        parse(fedmsg(topic="t" * (MAX_TOPIC + 1)))
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "body",
    [
        18446744073709551615,
        -9223372036854775808,
        "9" * 40,
        {"9" * 40: 1},
        0.12345678901234567890,
        1.5e30,
        "\\u0000",
        {"\\u0000": "\\\\u0000"},
    ],
)
def test_what_only_looks_malformed(body: Any) -> None:
    """Integers of 64 bits, long digits in text, large floats and an escaped backslash before u0000 pass."""
    assert parse(fedmsg(msg=body)).content == canonical.encode([TOPIC, TIME, body])


def nested(depth: int, opening: str, closing: str) -> str:
    """A value nested `depth` times between `opening` and `closing`."""
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[1,{"b":[],"a":', "}]")])
def test_depth(opening: str, closing: str) -> None:
    """A message is nested 100 deep, its envelope included, and no deeper; no depth crashes the parser."""
    levels = opening.count("{") + (opening[0] == "[")
    deepest = (MAX_DEPTH - 1) // levels
    for depth in (deepest, deepest + 1, 400, 1100, 100_000):
        raw = f'{{"topic":"a","timestamp":1,"msg":{nested(depth, opening, closing)}}}'.encode()
        if depth == deepest:
            assert Message.from_record(parse(raw).record()).content == parse(raw).content
        else:
            with pytest.raises(MalformedMessage, match=r"nested more than 100 deep|depth"):
                parse(raw)


def test_depth_is_not_breadth() -> None:
    """A body with many lists side by side is not deep."""
    assert len(parse(fedmsg(msg={"rows": [[]] * 5000})).body["rows"]) == 5000


def test_deep_headers() -> None:
    """A header that is kept is bounded in depth as the body is; one that is not kept is not looked at."""
    deep = json.loads(nested(150, "[", "]"))
    assert parse(fedmsg(headers={"x": deep})).headers == {}
    with pytest.raises(MalformedMessage, match=r"^headers is nested more than 100 deep"):
        parse(fedmsg(headers={"fedora_messaging_user_ann": deep}))


def test_deep_and_with_a_long_number() -> None:
    """A message that is deep and also needs the slow look is refused, not a crash."""
    with pytest.raises(MalformedMessage, match=r"nested|depth"):
        parse(f'{{"topic":"a","timestamp":1,"msg":[{"9" * 25},{nested(1010, "[", "]")}]}}'.encode())


def test_what_is_not_kept_is_not_judged() -> None:
    """What a history server or a transport adds makes no message malformed, since it is not kept."""
    added: dict[str, Any] = {
        "meta": {"deep": json.loads(nested(150, "[", "]")), "n": 2**70, "nul": "\0"},
        "username": "\0",
    }
    added["headers"] = {"x": ["\0", 2**70]}
    assert parse(fedmsg(**added)).record() == parse(fedmsg()).record()


def test_record_begins_with_the_id() -> None:
    """A record is the content with the id before it, whatever characters the id has."""
    message = parse(fedmsg(msg_id='a"b\\é\n'))
    assert json.loads(message.record()) == ['a"b\\é\n', *json.loads(message.content)]
    assert b"\n" not in message.record()


def test_copies_agree() -> None:
    """The order of keys, the escapes and the spaces of the sender are not part of a message."""
    one = b'{"topic":"a","timestamp":1,"msg_id":"i","msg":{"a":1,"b":"\\u00e9"}}'
    other = '{ "msg" : {"b":"é", "a":1}, "timestamp":1.5,\n "msg_id":"i", "topic":"a"}\r\n'.encode()
    assert parse(one).record() == parse(other).record()


def test_messages_travel_between_processes() -> None:
    """A message survives pickling, which a pool of processes needs."""
    message = parse(fedmsg(headers=USER))
    message.content  # noqa: B018
    assert pickle.loads(pickle.dumps(message)).record() == message.record()


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
HEADER_NAMES = st.sampled_from(["fedora_messaging_user_", "fedora_messaging_rpm_", "sent-at", ""])
HEADERS = st.dictionaries(st.builds(str.__add__, HEADER_NAMES, TEXT), ANYTHING, max_size=4)


@given(TEXT.filter(bool), TEXT, st.integers(0, 253402300799), ANYTHING, HEADERS)
def test_records_round_trip(topic: str, id: str, timestamp: int, body: Any, headers: dict[str, Any]) -> None:
    """Every message comes back from its record with the same record, content and derived values."""
    envelope = {"topic": topic, "msg_id": id, "timestamp": timestamp, "msg": body, "headers": headers}
    message = parse(json.dumps(envelope).encode())
    copy = Message.from_record(message.record())
    assert copy.record() == message.record()
    assert copy.content == message.content
    assert (copy.id, copy.topic, copy.timestamp, copy.body, copy.headers) == (
        message.id,
        message.topic,
        message.timestamp,
        message.body,
        message.headers,
    )
    assert (copy.agent, copy.usernames, copy.packages) == (message.agent, message.usernames, message.packages)


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    """Any bytes are a message or malformed; no other error escapes."""
    with suppress(MalformedMessage):
        parse(raw)


FIELDS = ["topic", "msg", "body", "msg_id", "id", "timestamp", "headers", "username"]
WILD = ANYTHING | st.integers() | st.floats() | st.text(max_size=5) | st.just("2015-08-08T00:00:00Z")


@given(st.dictionaries(st.sampled_from(FIELDS), WILD) | WILD)
def test_any_json(value: Any) -> None:
    """Any JSON is malformed, or a message whose record holds its rules and gives the same message again."""
    try:
        message = parse(json.dumps(value).encode())
    except MalformedMessage:
        return
    assert message.id
    assert message.topic
    assert 0 <= message.timestamp < 253402300800
    line = message.record()
    assert b"\\u0000" not in line.replace(b"\\\\", b"")
    assert Message.from_record(line).record() == line
    envelope = dict(zip(["id", "topic", "timestamp", "body", "headers"], json.loads(line), strict=False))
    assert parse(json.dumps(envelope).encode()).record() == line


def test_real_messages(any_messages_path: Path) -> None:
    """Every message that was really sent is accepted, and comes back from its record."""
    lines = any_messages_path.read_bytes().splitlines()
    messages = [parse(line) for line in lines]
    assert len(messages) == len(lines) > 0
    for line, message in zip(lines, messages, strict=True):
        sent = json.loads(line)
        assert message.timestamp == int(sent["timestamp"])
        assert message.topic == sent["topic"]
        assert json.loads(message.content)[2] == sent["msg"]
        assert Message.from_record(message.record()).record() == message.record()
    assert len({message.id for message in messages}) == len({message.record() for message in messages})


def test_form_of_floats() -> None:
    """Floats have one form in the content: it is hashed for identity, and the library has changed it before."""
    floats = [1e20, 1.5e-7, 1e16, 1e15, 0.1, 1e-5, -0.0, 5e-324]
    written = b"[1e+20,1.5e-7,1e+16,1000000000000000.0,0.1,0.00001,-0.0,5e-324]"
    assert parse(fedmsg(msg=floats)).content == canonical.encode([TOPIC, TIME, 0])[:-2] + written + b"]"
