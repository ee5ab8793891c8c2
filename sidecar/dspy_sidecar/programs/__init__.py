"""Programs as DSPy modules."""
