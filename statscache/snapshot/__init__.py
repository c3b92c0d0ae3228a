"""From documents to a snapshot: a tree of content-addressed files, complete or absent."""
