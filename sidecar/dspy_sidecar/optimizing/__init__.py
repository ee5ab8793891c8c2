"""Optimizations, each in a process of its own."""
