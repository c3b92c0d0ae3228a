"""Privacy: remove a person from everything that is stored and published, and export all data about a person."""
