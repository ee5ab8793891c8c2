"""The process that runs what models write."""
