"""Agents: people and bots, distinguished by a configured list of bots."""

from statscache.plugins import Names

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
        "noggin",
        "openqa",
        "oscar",
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
"""Accounts of Fedora's services, which do not count as contributions; the setting `bots` replaces this list."""

WITH_BOTS = {"bots": Names(BOTS, shared=True)}
"""The settings of a plugin that distinguishes bots from people."""
