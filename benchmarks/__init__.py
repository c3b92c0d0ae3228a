"""What the project promises about its cost and its endurance, measured: `make bench` and `make torture`."""
