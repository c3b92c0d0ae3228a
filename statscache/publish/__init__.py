"""From a snapshot to the places where clients find it, so that a reader never meets half of it."""
