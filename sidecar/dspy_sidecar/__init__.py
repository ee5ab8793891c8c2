"""Runs DSPy for the sigrun gateway."""
