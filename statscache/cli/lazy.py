"""A group whose commands are imported when they are called: importing them all takes a second."""

import gc
from importlib import import_module

import click

from statscache.memory import collect_rarely


class Deferred(click.Command):
    """A command that is imported when it is called.

    Args:
        name: Its name.
        module: The module in which it is `command`.
        help: The first sentence of its help.
    """

    def __init__(self, name: str, module: str, help: str) -> None:
        super().__init__(name, help=help)
        self._module = module

    def load(self) -> click.Command:
        """Import the command and return it."""
        # Imported modules are never freed: searching them for garbage takes time and finds nothing.
        gc.disable()
        try:
            command: click.Command = import_module(self._module).command
        finally:
            collect_rarely()
            gc.enable()
        return command


class LazyGroup(click.Group):
    """A group that imports a `Deferred` command when it is called."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return name and command that the arguments begin with, and the arguments that follow.

        Raises:
            click.UsageError: There is no such command.
        """
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Deferred) else command, rest
