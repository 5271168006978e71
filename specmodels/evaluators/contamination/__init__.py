"""Grism contamination: a scene of all sources, and cutouts without the light of others."""
