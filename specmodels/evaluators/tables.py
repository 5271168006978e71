"""Tables of results as users see them."""

__all__ = ["readable"]


def readable(table):
    """The table, its numbers shown with four digits."""
    for column in table.columns.values():
        if column.dtype.kind == "f":
            column.info.format = ".4g"
    return table
