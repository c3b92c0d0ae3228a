"""Forget a person: in the journal, in quarantine, in the state, in files, and in everything published.

Every step can be repeated without harm, and skips work already done. After an interruption, run the same again.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from statscache.derivation.values import person
from statscache.exceptions import NameRefused
from statscache.installation import Installation
from statscache.privacy import lines
from statscache.privacy.matcher import NameMatcher
from statscache.privacy.purge import purge_published
from statscache.privacy.removal import Found, Removal
from statscache.scrubbing import forms
from statscache.service.publishing import PATIENCE, Publishing
from statscache.sources.spool import Spool
from statscache.store import locks, places

Tell = Callable[[str, int, int], None]
"""Called with the step, how much of it is done, and how much there is."""

_RESERVED = {
    *("topic", "msg", "msg_id", "id", "timestamp", "body", "headers", "sent-at"),
    *("agent", "name", "owner", "user", "username", "users"),
    *("org", "fedoraproject", "prod", "stg", "dev", "http", "https", "true", "false", "null"),
}
_COMMON = 100
_COMMON_SHARE = 0.05
_PATIENCE = 60.0
"""Seconds to wait for files of the spool and for the write-ahead log."""

_PAUSE = 1.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Forgotten:
    """The result of forgetting.

    Attributes:
        messages: Messages of the journal that were changed.
        held: Messages of the future that were changed.
        quarantined: Items in quarantine that were changed.
        files: Files of the spool that were changed.
        taken_out: Names of plugins from whose state keys were removed.
        folded_again: Names of plugins that have folded the journal again.
        snapshots: Snapshots that were deleted.
        objects: Objects that were removed.
        unfinished: Steps that could not be done yet, each with the fix; the same command does them.
        unreachable: Places that were published to, are no longer configured, and may hold the name.
        left: Published files that hold the word but are not made from messages.
    """

    messages: int = 0
    held: int = 0
    quarantined: int = 0
    files: int = 0
    taken_out: list[str] = field(default_factory=list)
    folded_again: list[str] = field(default_factory=list)
    snapshots: int = 0
    objects: int = 0
    unfinished: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def found_nothing(self) -> bool:
        """True if the name was not found."""
        changed = self.messages or self.held or self.quarantined or self.files or self.snapshots or self.objects
        return not (changed or self.taken_out or self.folded_again or self.unfinished or self.left)


def forget(installation: Installation, name: str, tell: Tell, *, where_involved: bool = False) -> Forgotten:
    """Forget a person, publish, and return what was done.

    Args:
        installation: The installation.
        name: The person's account.
        tell: Called with the progress.
        where_involved: True to leave the word alone in messages that do not involve the person.

    Raises:
        NameRefused: It is not a person's name, or it is a common word too; nothing was changed.
        PublisherBusy: Another process publishes from this database, for longer than `PATIENCE`.
    """
    name = checked(name, installation.config.bus.environments)
    database, done = installation.database, Forgotten()
    work = Removal(database, installation.registry, name, where_involved=where_involved)
    found = work.search(lambda read, all_: tell("searching the journal", read, all_))
    if not where_involved:
        _refuse_word(found)
    # A snapshot that another publisher makes meanwhile would show which documents were deleted.
    with locks.publishing(database, PATIENCE):
        work.suppress()
        # Messages that were accepted before the suppression are in the journal now.
        spots = found.places + work.search(lambda *_: None, found.end).places
        for number, (first, last) in enumerate(spots, start=1):
            done.messages += work.rewrite(first, last)
            tell("rewriting the journal", number, len(spots))
        tables = work.search_state()
        done.unfinished += [f"table {table} holds the name, and no active plugin has it: drop it" for table in tables]
        with database.writing() as connection:
            done.held = lines.scrub_held(connection, work.leaves_alone, forms(name))
            done.quarantined = lines.scrub_quarantine(connection, forms(name))
        done.files = _rewrite_spool(
            installation, lambda line: lines.scrub_line(line, work.leaves_alone, forms(name)), done
        )
        _catch_up(installation, tell)
        done.taken_out, done.folded_again = sorted(work.taken_out - work.folded_again), sorted(work.folded_again)
        publishing = Publishing(installation, tell=tell)
        purged, failure = purge_published(
            database,
            publishing,
            NameMatcher(name),
            lambda at, all_: tell("searching what was published", at, all_),
        )
        done.snapshots, done.objects = purged.snapshots, purged.objects
        # The word stays in messages where it means something else, so it is in many files.
        done.left = [] if where_involved else purged.left
        if failure:
            done.unfinished.append(f"{failure}; the next publication removes the rest there")
    configured = {target.place for target in installation.config.publish.targets}
    with database.reading() as connection:
        done.unreachable = [str(place) for place in places.lost(connection, configured)]
    tell("rewriting the database", 1, 1)
    if not database.rewrite():
        done.unfinished.append(
            "the database could not be rewritten, and may hold deleted rows: run the same command again"
        )
    if not _wiped(installation):
        done.unfinished.append("the write-ahead log is in use, and keeps deleted rows: run the same command again")
    return done


def checked(name: str, environments: Collection[str] = ()) -> str:
    """Return the name of an account in the form to search for.

    Raises:
        NameRefused: It is not the name of an account, or is a word of every message.
    """
    name = name.strip()
    if not name:
        raise NameRefused("the name is empty: give the name of an account")
    if len(name) < 2 or not any(map(str.isalpha, name)) or person(name) != name:
        raise NameRefused(
            "this is not the name of an account: expected two characters or more, with a letter, and no address"
        )
    if name.lower() in {*_RESERVED, *environments}:
        raise NameRefused("this is a reserved word of the message format")
    return name


def _refuse_word(found: Found) -> None:
    others = found.messages - found.involving
    is_common = found.messages > max(_COMMON, _COMMON_SHARE * found.all) and others > found.involving
    if found.topics or found.packages or is_common:
        raise NameRefused(
            f"the name is also a word: {others:,} messages hold it and do not involve that person, {found.packages:,}"
            f" are about a package of that name, and {found.topics:,} have it in their topic; nothing was changed."
            " Use `--where-involved` to keep the word in these"
        )


def _rewrite_spool(installation: Installation, change: Callable[[bytes], bytes], done: Forgotten) -> int:
    """Rewrite the lines of all files of the spool, and return how many files changed."""
    section, files = installation.config.sources.spool, 0
    if section is None:
        return 0
    spool, deadline = Spool(section.path), time.monotonic() + _PATIENCE
    while True:
        changed, busy, unread = spool.rewrite(change, installation.config.bus.max_line)
        files += changed
        if not busy or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE)
    if unread:
        done.unfinished.append(
            f"files of the spool that need too much memory to read; remove them: {', '.join(unread)}"
        )
    if busy:
        done.unfinished.append(
            f"files of the spool that are being written or read: {len(busy)}; run the same command again"
        )
    return files


def _catch_up(installation: Installation, tell: Tell) -> None:
    most = 0
    while installation.ingest.catch_up():
        left = sum(number for _, number in installation.ingest.plugins.behind())
        most = max(most, left)
        tell("folding the journal", most - left, most)


def _wiped(installation: Installation) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not installation.database.wipe():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True
