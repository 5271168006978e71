"""The spectra of all sources of a grism scene."""
