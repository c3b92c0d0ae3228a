"""Simulated traffic of a project: realistic and seeded, for the demo, the tests and the benchmarks."""

from statscache.simulator.traffic import ALL, Traffic, simulate

__all__ = ["ALL", "Traffic", "simulate"]
