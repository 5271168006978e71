"""Spatial profiles from windows of neighbouring columns."""
