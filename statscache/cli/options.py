"""Options that several commands have, and the types of their values."""

from typing import TYPE_CHECKING

import click

from statscache.timeline import parse_time

if TYPE_CHECKING:
    _ParamType = click.ParamType[int]
else:
    # Generic since click 8.5 only.
    _ParamType = click.ParamType

as_json = click.option("--json", "json_", is_flag=True, help="Print the result as JSON.")

jobs = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that parse and count.",
)
scheduler = click.option(
    "--scheduler", metavar="ADDR", help="Have the workers of this Dask cluster parse and count; needs statscache[dask]."
)


class Moment(_ParamType):
    """A point in time: ISO 8601 (no zone means UTC), or seconds since 1970."""

    name = "time"

    def convert(self, value: str | int, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """Return seconds since 1970 UTC."""
        if isinstance(value, int):
            return value
        try:
            return parse_time(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)
