"""Fits of independent columns: the linear parameters of each are eliminated."""
