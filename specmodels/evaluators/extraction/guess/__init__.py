"""What an image shows before it is fitted: its region, sky, sources, traces and tilt."""
