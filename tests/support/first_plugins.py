"""Two plugins as authors of the first statscache wrote them, with rows of their own."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import sqlalchemy as sa

from statscache.plugins import BaseModel, BasePlugin, CategorizedModel


class Mention(BaseModel):
    """How often a person had been named by then."""

    __tablename__ = "data_mentions"
    username = sa.Column(sa.UnicodeText, nullable=False, index=True)
    references = sa.Column(sa.Integer, nullable=False)


class Popularity(BasePlugin):
    """One row for each message and person, with a running count."""

    name = "Popularity"
    summary = "Times that people were named"
    description = """
    One is counted for each message that names a person,
    whoever it is.
    """
    model: ClassVar[Any] = Mention
    layout = {"groups": [{"title": "People"}]}  # noqa: RUF012 - plugins of the first statscache have it so

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pending: list[tuple[datetime, str]] = []

    def process(self, message: Any) -> None:
        """Remember who is named."""
        if message["msg"].get("poison"):
            raise KeyError("poison")
        moment = datetime.fromtimestamp(message["timestamp"], UTC).replace(tzinfo=None)
        self.pending.extend((moment, name) for name in message["meta"]["usernames"])

    def update(self, session: Any) -> None:
        """Add what was remembered to the last count of each person."""
        for moment, name in self.pending:
            mine = session.query(self.model).filter(self.model.username == name)
            last = mine.order_by(self.model.references.desc()).first()
            session.add(self.model(timestamp=moment, username=name, references=(last.references if last else 0) + 1))
            session.commit()
        self.pending = []


class Hourly(CategorizedModel):
    """Messages of one topic in one hour."""

    __tablename__ = "data_hourly"


class Volume(BasePlugin):
    """Messages by topic and hour, in rows that are updated."""

    name = "hourly volume"
    summary = "Messages by topic"
    interval = timedelta(hours=1)
    model = Hourly

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts: dict[tuple[datetime, str], int] = defaultdict(int)

    def process(self, message: dict[str, Any]) -> None:
        """Count the message in its hour."""
        width = int(self.interval.total_seconds())
        start = message["timestamp"] - message["timestamp"] % width
        self.counts[datetime.fromtimestamp(start, UTC).replace(tzinfo=None), message["topic"]] += 1

    def update(self, session: Any) -> None:
        """Add the counts to their rows."""
        for (start, topic), number in self.counts.items():
            row = session.query(self.model).filter_by(timestamp=start, category=topic).first()
            if row is None:
                session.add(self.model(timestamp=start, category=topic, scalar=number))
            else:
                row.scalar += number
        self.counts.clear()
