"""The adaptive trace model: slices on finer rows, and bad pixels filled."""
