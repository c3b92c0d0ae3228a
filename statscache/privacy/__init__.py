"""Privacy: remove a person from everything that is stored and published, and export what is known of one."""
