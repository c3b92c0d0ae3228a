"""How alembic reaches the database: by the connection that `upgrade` made, inside its transaction."""

from alembic import context

from statscache.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
