"""Packaging of a plugin: statscache finds it by its entry point."""

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
