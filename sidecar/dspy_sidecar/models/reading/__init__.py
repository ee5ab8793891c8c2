"""Reading what models answer, in linear time."""
