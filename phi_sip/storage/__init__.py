"""Files on disk, which are written atomically and measured before they are read."""
