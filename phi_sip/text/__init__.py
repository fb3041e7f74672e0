"""Texts that are safe to show: escaped, shortened, for a terminal or a page."""
