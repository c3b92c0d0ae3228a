"""Models of rows for `Table` plugins, with the names of the first statscache."""

from datetime import datetime

from sqlalchemy import DateTime, Integer, UnicodeText
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class BaseModel(DeclarativeBase):
    """A row with an id and a time; set `__tablename__` to a name after the plugin."""

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(DateTime, nullable=False, index=True)


class ScalarModel(BaseModel):
    """A row with one number."""

    __abstract__ = True

    scalar: Mapped[int] = mapped_column(Integer, nullable=False)


class CategorizedModel(BaseModel):
    """A row with a number for a category."""

    __abstract__ = True

    category: Mapped[str] = mapped_column(UnicodeText, nullable=False, index=True)
    scalar: Mapped[int] = mapped_column(Integer, nullable=False)
