"""From state to documents: what is published of each plugin, and the pages made of it."""
