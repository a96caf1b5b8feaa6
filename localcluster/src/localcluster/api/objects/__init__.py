"""Objects as they are stored: reading, writing, deleting, watching."""
