"""Fills a new database with messages, as datanommer does; runs in its environment, not in ours.

    python fill_datanommer.py URL < messages.ndjson

What is in fedmsg's envelope becomes rows as they were when that was the bus, which had no headers.
"""

import json
import sys
from datetime import UTC, datetime

import datanommer.models as datanommer
from fedora_messaging.message import Message
from pika import BasicProperties
from sqlalchemy import create_engine


def fill(url: str) -> None:
    """Make the tables, and add each line of standard input."""
    engine = create_engine(url, future=True)
    datanommer.init(engine=engine)
    datanommer.DeclarativeBase.metadata.create_all(engine)
    for line in sys.stdin.buffer:
        envelope = json.loads(line)
        sent = datetime.fromtimestamp(envelope["timestamp"], UTC)
        if "msg" in envelope:
            row = {name: envelope.get(name) for name in ("i", "msg_id", "topic", "msg", "signature", "certificate")}
            datanommer.Message.create(
                **row, timestamp=sent.replace(tzinfo=None), headers=None, users=["somebody"], packages=["something"]
            )
        else:
            headers = {**envelope["headers"], "sent-at": sent.isoformat()}
            properties = BasicProperties(headers=headers, message_id=envelope["id"])
            datanommer.add(Message(topic=envelope["topic"], body=envelope["body"], properties=properties))
    datanommer.session.commit()


if __name__ == "__main__":
    fill(sys.argv[1])
