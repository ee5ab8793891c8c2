"""What a gateway defines, as DSPy modules."""
