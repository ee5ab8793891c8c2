"""Language models: which, by which adapter, and what they cost."""
