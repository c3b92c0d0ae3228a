"""A reader of published statistics, for pages that are rendered on a server. It needs only the standard library.

```python
from statscache.client import Client

client = Client("https://stats.example.org/", cache="/var/cache/my-page")
for row in client.latest("volume-by-category")["rows"]:
    print(row["category"], row["total"])
```

Each document is read from one snapshot: the index names the objects, and an object's name is the digest of its
bytes, which is checked. Documents of keys have no objects: they are read at their path, and compared with the digest
in the snapshot's manifests. `pin` returns a reader that keeps to one snapshot. With public keys, the client returns
only data that follow from a signed index that is the newest one read so far and has not expired.
"""

from statscache.client.fetcher import Damaged, Missing
from statscache.client.pinned import NotPublished, Pinned, Replaced, Span, unknown_days
from statscache.client.reader import Client, Late, OtherGeneration
from statscache.client.trust import Outdated
from statscache.exceptions import Unreachable
from statscache.signatures import BadSignature

__all__ = [
    "BadSignature",
    "Client",
    "Damaged",
    "Late",
    "Missing",
    "NotPublished",
    "OtherGeneration",
    "Outdated",
    "Pinned",
    "Replaced",
    "Span",
    "Unreachable",
    "unknown_days",
]
