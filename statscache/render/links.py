"""Links from names to the pages of entities: wherever a key is shown, it leads to its page.

Addresses are relative to the site's root; templates put the way there before them.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from urllib.parse import quote

from statscache import layout
from statscache.render import figures
from statscache.render.front import News
from statscache.render.page_model import PluginView
from statscache.render.tables import Table
from statscache.render.text import Cell

_FIELDS = {
    "agent": "person",
    "cycle": "release",
    "package": "package",
    "release": "release",
    "topic": "topic",
    "user": "person",
}
"""The entities that fields of rows name, for fields that are not dimensions of the plugin."""


class Links:
    """The links of a site.

    Args:
        entities: The entities with pages of their own.
    """

    def __init__(self, entities: Collection[str]) -> None:
        self._entities = entities

    def of_key(self, view: PluginView, key: str | None) -> str:
        """Return the address of the page of a key of a plugin; empty if it has none."""
        entity = next(iter(view.info.entities.values()), "")
        return _address(entity, key) if key is not None and entity in self._entities else ""

    def of_keys(self, view: PluginView) -> dict[str, str]:
        """Return the addresses of the pages of the keys of a plugin, by the label of the key."""
        found = ((field, entity) for field, entity in _entities_of(view).items() if figures.named_by(view) == [field])
        field, entity = next(found, ("", ""))
        if entity not in self._entities:
            return {}
        return {figures.label(view, row): _address(entity, row[field]) for row in view.rows if row.get(field)}

    def of_news(self, item: News) -> str:
        """Return the address of the page that says more."""
        if page := self.of_key(item.view, item.key):
            return page
        search = f"?filter={quote(item.search, safe='')}" if item.search else ""
        return layout.page(item.view.info.name) + search

    def cell(self, view: PluginView, field: str, cell: Cell) -> Cell:
        """Return a cell of a field of a plugin's rows as a link, if it names an entity that has a page."""
        return self._linked(_entities_of(view).get(field), cell)

    def table(self, view: PluginView, table: Table) -> Table:
        """Return a table of a plugin in which each name of an entity is a link."""
        fields = _entities_of(view)
        names = (heading.name for heading in table.headings)
        columns = {at: fields[name] for at, name in enumerate(names) if fields.get(name) in self._entities}
        for row in table.cells:
            for at, entity in columns.items():
                row[at] = self._linked(entity, row[at])
        return table

    def _linked(self, entity: str | None, cell: Cell) -> Cell:
        if entity is None or entity not in self._entities or cell.form != "text" or not cell.text:
            return cell
        return replace(cell, form="entity", href=_address(entity, cell.text))


def _entities_of(view: PluginView) -> Mapping[str, str]:
    """Return the entity that each field of a plugin's rows names, if any."""
    return {**_FIELDS, **view.info.entities}


def _address(entity: str, name: str) -> str:
    return f"{layout.entity_page(entity)}?{quote(name, safe='')}"
