"""All errors that statscache raises deliberately: one base class, and a class for each condition."""

from typing import ClassVar


class StatscacheError(Exception):
    """The base of all errors that statscache raises deliberately.

    Attributes:
        exit_status: Exit status of the command: 1 failed, 2 wrong usage or configuration, 3 refused.
    """

    exit_status: ClassVar[int] = 1


class ConfigurationError(StatscacheError, ValueError):
    """The configuration cannot be used; the text lists all its errors and how to fix them."""

    exit_status = 2


class MalformedMessage(StatscacheError, ValueError):
    """Bytes from a source are not a message; the text says what is wrong and where."""


class PluginError(StatscacheError, TypeError):
    """A plugin class breaks the contract; the text names the class and the fix."""


class YieldError(StatscacheError, ValueError):
    """`observe` yielded something that its kind cannot count; the text shows the value and what was expected."""


class MergeFailed(StatscacheError):
    """A merge without a savepoint failed; the transaction must be rolled back."""


class DocumentError(StatscacheError, ValueError):
    """A plugin's `documents` yielded a value that cannot be published; the text names plugin, document and fix."""


class UnknownPlugin(StatscacheError, LookupError):
    """No plugin of that name is installed and enabled."""

    exit_status = 2


class KeysRefused(StatscacheError):
    """Keys cannot be dropped or counted again; the text says why."""


class SourceError(StatscacheError, OSError):
    """A source cannot be read; the text names it and the fix."""


class ConsumingFailed(StatscacheError, RuntimeError):
    """Messages of a live source can no longer be accepted; the log says why, and nothing committed is lost."""


class Unreachable(StatscacheError, OSError):
    """A published site cannot be read: its server does not answer, after several attempts, or it is not one."""


class ExportError(StatscacheError, OSError):
    """An archive could not be written; an existing one is unchanged."""


class DamagedArchive(SourceError):
    """An archive ends in the middle of its compression, or is damaged; the messages before that were read."""


class OutputError(StatscacheError, OSError):
    """Standard output cannot be written to."""


class ExportRefused(StatscacheError, ValueError):
    """An archive would replace the database, or a file that is not an archive; nothing was written."""

    exit_status = 3


class WorkerError(StatscacheError, RuntimeError):
    """Work in other processes failed; committed work stays."""


class SchemaError(StatscacheError, RuntimeError):
    """The database has a schema of another release."""


class HistoryGone(StatscacheError, ValueError):
    """Statistics would lose what the journal no longer holds; nothing was changed."""

    exit_status = 3


class CopyRefused(StatscacheError, ValueError):
    """A database cannot be copied to the given place; nothing was copied."""

    exit_status = 3


class Implausible(StatscacheError, ValueError):
    """A plugin lost more rows than it may; it keeps its last documents until `publish --force`."""


class UnknownSnapshot(StatscacheError, LookupError):
    """No snapshot of that id is retained, or it cannot be made current."""

    exit_status = 2


class Damaged(StatscacheError, RuntimeError):
    """The database does not hold the bytes that were stored: disk or memory failed, or a person changed them."""


class DamagedObject(Damaged):
    """An object or manifest does not match its name, or is missing from the database."""


class DamagedSnapshot(Damaged):
    """A row of a snapshot, or rows of the published tree, do not agree with their digests."""


class DamagedStatistics(Damaged):
    """Statistics or messages are damaged: documents rendered from them are not published."""


class PublishError(StatscacheError, OSError):
    """A target could not be updated; it still serves its previous snapshot."""


class Refused(PublishError):
    """A target refuses a request, and a retry would not help (rights, a name, a password): a person must fix it."""


class Stopped(PublishError):
    """Publishing to a target was stopped early, on request; the next publication continues."""


class TargetAhead(PublishError):
    """A target serves a generation that the current snapshot does not exceed: it needs a higher one."""


class OtherInstallation(Refused):
    """A target belongs to another installation, until it is taken over."""


class PublisherBusy(PublishError):
    """Another publisher is using this database, or at the same target."""

    exit_status = 3


class NameRefused(StatscacheError, ValueError):
    """The given name is not a person's name, or is also a word with another meaning in messages."""

    exit_status = 3


class DemoError(StatscacheError, RuntimeError):
    """The demo cannot be run here, or its service failed; the text says why."""


class HangError(StatscacheError):
    """A plugin did not return from a message; the message is quarantined for it."""
