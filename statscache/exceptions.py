"""Every error that statscache raises on purpose: one root, and under it the condition by name."""


class StatscacheError(Exception):
    """The root: catching it catches whatever statscache raises on purpose."""


class ConfigurationError(StatscacheError, ValueError):
    """The configuration cannot be used; the text lists all its errors and how to mend them."""


class MalformedMessage(StatscacheError, ValueError):
    """Bytes from a source are no message; the text says what is wrong and where."""


class PluginError(StatscacheError, TypeError):
    """A plugin class breaks the contract; the text names the class and the mend."""


class YieldError(StatscacheError, ValueError):
    """`observe` yielded something that its kind cannot count; the text shows it and what was expected."""


class DocumentError(StatscacheError, ValueError):
    """What a plugin's `documents` yielded cannot be published; the text names plugin, document and mend."""


class UnknownPlugin(StatscacheError, LookupError):
    """No plugin of that name is installed and enabled."""


class KeysRefused(StatscacheError):
    """Keys cannot be dropped or counted again; the text says why."""


class SourceError(StatscacheError, OSError):
    """A source cannot be read; the text names it and the mend."""


class ExportError(StatscacheError, OSError):
    """An archive could not be written; what was at its place is still there."""


class DamagedArchive(SourceError):
    """An archive ends in the middle of its compression, or is damaged; what came before it can be had."""


class OutputError(StatscacheError, OSError):
    """Standard output cannot be written to."""


class ExportRefused(StatscacheError, ValueError):
    """An archive would replace the database, or a file that is no archive; nothing was written."""


class WorkerError(StatscacheError, RuntimeError):
    """Work that was given to other processes failed; what was committed stays."""


class SchemaError(StatscacheError, RuntimeError):
    """The database's schema is not the one that this release works with."""


class HistoryGone(StatscacheError, ValueError):
    """Statistics would lose what the journal no longer holds; nothing was changed."""


class CopyRefused(StatscacheError, ValueError):
    """A database cannot be copied there; nothing was."""


class Implausible(StatscacheError, ValueError):
    """A plugin lost more rows than it may; it keeps its last documents until `publish --force`."""


class UnknownSnapshot(StatscacheError, LookupError):
    """No snapshot of that id is retained, or it cannot be made current."""


class Damaged(StatscacheError, RuntimeError):
    """The database holds other bytes than were stored there: a disk or memory decayed, or somebody altered them."""


class DamagedObject(Damaged):
    """An object, or a manifest, is not what its name says, or is missing from the database."""


class DamagedSnapshot(Damaged):
    """A row of a snapshot, or rows of the published tree, do not agree with their digests."""


class DamagedStatistics(Damaged):
    """Statistics, or messages, are damaged: nothing is published that was rendered from them."""


class PublishError(StatscacheError, OSError):
    """A target could not be brought up to date; it still serves its previous snapshot."""


class Refused(PublishError):
    """A target refuses what is asked of it, and would again: rights, a name, a password; a person must mend that."""


class Stopped(PublishError):
    """Publishing to a target was stopped before its end, as somebody asked; the next publication carries on."""


class TargetAhead(PublishError):
    """A target serves a generation that the current snapshot does not exceed: it needs a higher one."""


class OtherInstallation(Refused):
    """A target is another installation's: it publishes there, or did, until it is taken over."""


class PublisherBusy(PublishError):
    """Another publisher is at work on this database, or at the same target."""


class NameRefused(StatscacheError, ValueError):
    """What is given as a person's name is none, or is a word that stands for other things too."""


class DemoError(StatscacheError, RuntimeError):
    """The demo cannot be run here, or its service failed; the text says why."""


class HangError(StatscacheError):
    """A plugin did not return when it was shown a message, which it is not shown again."""
