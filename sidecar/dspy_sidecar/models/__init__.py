"""Language models, adapters, and the token usage of runs."""
