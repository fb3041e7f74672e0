"""Plugins: how they are found, and what they register."""

from .manager import PluginFailure, PluginManager, create_plugin_manager, get_plugin_manager

__all__ = ["PluginFailure", "PluginManager", "create_plugin_manager", "get_plugin_manager"]
