"""Evaluators one after the other: what is handed on, and the results of all of them."""
