"""Turns state into documents and pages: data in, bytes out."""
