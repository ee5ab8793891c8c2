"""The process that runs generated code."""
