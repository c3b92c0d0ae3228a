"""Packaging of a plugin: what statscache looks for is the entry point."""

from setuptools import setup

setup(
    name="statscache-meetings",
    version="1.0",
    description="Statistics of meetings, for statscache",
    packages=["statscache_meetings"],
    python_requires=">=3.11",
    install_requires=["statscache"],
    extras_require={"test": ["pytest"]},
    entry_points={"statscache.plugin": ["meetings = statscache_meetings:PLUGINS"]},
)
