"""Plugins: how they are found, and what they register."""
