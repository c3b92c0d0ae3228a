"""A reader of published statistics, for pages that are rendered on a server. The standard library is all it needs.

```python
from statscache.client import Client

client = Client("https://stats.example.org/", cache="/var/cache/my-page")
for row in client.latest("volume-by-category")["rows"]:
    print(row["category"], row["total"])
```

Every document is read as of one snapshot: the index names the objects, and an object's name is the digest of its
bytes, which is checked. Documents of keys have no objects: they are read at their path, and compared with the digest
in the snapshot's manifests. `pin` keeps to one snapshot for as long as its reader likes. With keys, nothing is returned
that does not follow from a signed index, which is the newest that was ever read and has not expired.
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
