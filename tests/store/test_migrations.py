"""The schema: what the migrations make is what the code works with, and a foreign one is refused in clear words."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from conftest import Databases
from statscache.exceptions import ConfigurationError, SchemaError
from statscache.kinds import tables  # noqa: F401 - declares them on the metadata
from statscache.store import Database, journal, migrations, plain, schema, state
from statscache.store.revision import REVISION


def test_the_migrations_make_the_schema_of_the_code(database_url: str) -> None:
    """Alembic finds no difference between a migrated database and the tables of the code."""
    database = Database(database_url)
    # Not by `recorded_schema`.
    migrations.upgrade(database.engine)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
        assert journal.head(connection) == journal.Head(0, None)
    assert database.revision() == REVISION
    database.close()


def test_each_database_has_the_schema_and_is_an_installation_of_its_own(databases: Databases) -> None:
    """What tests make of recorded statements is what alembic makes, and ids and keys are random."""
    urls = [databases.create() for _ in range(3)]
    seen = set()
    for url in urls:
        database = Database(url)
        database.prepare()
        with database.reading() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, schema.metadata) == []
            seen |= {*connection.execute(select(schema.journal.c.installation, schema.journal.c.identity_key)).one()}
        assert database.revision() == REVISION
        database.close()
        databases.drop(url)
    assert len(seen) == 2 * len(urls)


def test_preparing_twice_changes_nothing(database_url: str) -> None:
    """A database that is there already is left as it is."""
    database = Database(database_url)
    database.prepare()
    with database.writing() as connection:
        journal.count(connection, known=3, conflicts=2, foreign=1)
    database.prepare()
    with database.reading() as connection:
        assert state.journal(plain.over(connection))[2:5] == (3, 2, 1)
    database.close()


@pytest.mark.parametrize(("revision", "fix"), [("9999", "install the release that made it"), ("0000", "db upgrade")])
def test_the_schema_of_another_release_is_refused(database_url: str, revision: str, fix: str) -> None:
    """The text names both revisions and the fix."""
    database = Database(database_url)
    database.prepare()
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    with pytest.raises(SchemaError, match=rf"schema {revision}, this release works with {REVISION}: .*{fix}"):
        database.prepare()
    database.close()


def test_a_database_that_cannot_be_opened_is_named() -> None:
    """A path that is none is an error that names it."""
    with pytest.raises(SchemaError, match=r"sqlite:////nowhere/at/all\.db"):
        Database("sqlite:////nowhere/at/all.db").prepare()


@pytest.mark.parametrize("url", ["nonsense", "oracle7://x", "mysql+nodriver://x"])
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    """The text tells what is expected."""
    with pytest.raises(ConfigurationError, match="expected sqlite:///FILE"):
        Database(url)
