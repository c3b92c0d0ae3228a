"""Kinds: how the observations of a plugin are merged, stored, published and forgotten. One module for each.

A plugin says *what* is measured (`statscache.plugins`); its kind is the only place that knows everything else.
"""
