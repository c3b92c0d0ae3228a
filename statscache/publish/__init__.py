"""Publish a snapshot to its targets, so that a reader never sees half of it."""
