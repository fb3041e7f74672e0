"""Files on disk: written atomically, measured before they are read."""
