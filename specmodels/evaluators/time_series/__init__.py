"""Spectra of all integrations of a time series, with what they have in common."""
