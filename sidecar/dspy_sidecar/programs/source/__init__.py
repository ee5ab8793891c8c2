"""A program as the Python file that a notebook would have. Nothing here is ever executed."""
