"""Parsers of models' answers that take linear time."""
