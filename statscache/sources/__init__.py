"""Sources bring messages in as raw bytes: the live bus, archives, history and the simulator.

A source neither parses nor counts; that is the work of `statscache.ingest`, which all of them feed.
"""
