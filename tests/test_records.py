"""Records packed: what goes in comes out, in pieces that are bounded."""

from hypothesis import given
from hypothesis import strategies as st

from statscache.store.records import Records

LINES = st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=30)


@given(LINES, LINES, st.integers(1, 7), st.integers(1, 60))
def test_what_goes_in_comes_out(some: list[bytes], more: list[bytes], most: int, size: int) -> None:
    """By index, and joined in pieces that hold each line once, within their bounds."""
    records = Records(some)
    records.extend(more)
    lines = [*some, *more]
    assert [records[index] for index in range(len(records))] == lines
    end = 0
    for start, stop, data in records.pieces(most, size):
        assert start == end < stop <= start + most
        assert bytes(data) == b"\n".join(lines[start:stop])
        assert stop == start + 1 or len(data) < size
        end = stop
    assert end == len(lines)
