"""Flicker noise: which pixels are dark, what lies under the noise, and the noise taken away."""
