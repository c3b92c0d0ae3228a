"""Migrations of the database, from the first schema on."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine


def upgrade(engine: Engine) -> None:
    """Upgrade the database to the newest schema; one that has it is not changed."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.connect() as connection, connection.execution_options(writing=True).begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
