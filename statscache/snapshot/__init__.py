"""From documents to a snapshot: a tree of content-addressed files that is whole or is not there."""
