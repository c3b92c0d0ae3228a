"""Render the state: the documents of each plugin, and the pages made of them."""
