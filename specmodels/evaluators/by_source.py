"""What a result has of each source, by its name."""

__all__ = ["BySource"]


class BySource(dict):
    """A dictionary whose keys are sources; asked for another name, it tells which there are."""

    def __missing__(self, name):
        raise KeyError(f"no source {name!r}; there are {list(self)}")
