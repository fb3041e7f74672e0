"""Physics that can be inverted, one file each."""
