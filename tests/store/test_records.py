"""Records of a batch: what goes in comes out, by index and in segments that are bounded."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statscache.store import records
from statscache.store.records import Records, inflate

LINES = st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line), max_size=30)


@given(st.lists(LINES, max_size=5), st.integers(1, 7), st.integers(1, 60), st.data())
def test_what_goes_in_comes_out(parts: list[list[bytes]], most: int, size: int, data: st.DataObject) -> None:
    """Segments hold each line once, in order, within their bounds, also those lines that are chosen from them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "SEGMENT", most)
        patch.setattr(records, "SEGMENT_BYTES", size)
        lines = [line for part in parts for line in part]
        times = data.draw(st.lists(st.integers(0, 100), min_size=len(lines), max_size=len(lines)))
        held = Records()
        at = 0
        for part in parts:
            held.extend(part, times[at : at + len(part)])
            at += len(part)
        assert [held[index] for index in range(len(held))] == lines
        check(pickle.loads(pickle.dumps(held)), lines, times, size)
        wanted = data.draw(st.lists(st.booleans(), min_size=len(lines), max_size=len(lines)))
        chosen = [index for index, is_wanted in enumerate(wanted) if is_wanted]
        check(held.only(wanted, times), [lines[index] for index in chosen], [times[index] for index in chosen], None)


def check(held: Records, lines: list[bytes], times: list[int], size: int | None) -> None:
    """Assert that segments hold these lines, and say of them what is true."""
    assert [held[index] for index in range(len(held))] == lines
    at = 0
    for segment in held.segments():
        data = inflate(segment.data)
        assert data.split(b"\n") == lines[at : at + segment.messages]
        assert segment.size == len(data)
        of = times[at : at + segment.messages]
        assert (segment.oldest, segment.newest) == (min(of), max(of))
        # A segment is closed with the line that fills it.
        assert size is None or segment.messages == 1 or len(b"".join(data.split(b"\n")[:-1])) < size + 20
        at += segment.messages
    assert at == len(lines)
