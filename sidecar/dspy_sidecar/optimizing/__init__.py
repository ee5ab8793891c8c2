"""Optimizations: the parent's side, and the process of each."""
