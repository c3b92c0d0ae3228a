"""Who acts: people and bots are told apart by a declared list of bots."""

from collections.abc import Mapping
from typing import Any

BOTS = frozenset(
    {
        "anitya",
        "autocloud",
        "autopen",
        "bodhi",
        "bpeck/jenkins-continuous-infra.apps.ci.centos.org",
        "containerbuild",
        "distrobuildsync-eln/jenkins-continuous-infra.apps.ci.centos.org",
        "fedimg",
        "fm-admin",
        "hotness",
        "kojira",
        "koschei",
        "masher",
        "meetbot",
        "openqa",
        "packagerbot",
        "packit",
        "pagure",
        "releng",
        "taskotron",
        "upstream-release-monitoring",
        "zodbot",
        "zuul",
    }
)
"""Accounts of Fedora's services, which are nobody's contribution; the setting `bots` takes the place of this list."""


def with_bots(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a plugin's settings with the list of `bots` in force among them, so that another list is another version.

    Raises:
        ValueError: The setting `bots` is no list of names.
    """
    names = (settings or {}).get("bots", [*BOTS])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"bots is {names!r:.200}; give a list of names, such as ['bodhi', 'koschei']")
    return {**(settings or {}), "bots": sorted({*names})}
