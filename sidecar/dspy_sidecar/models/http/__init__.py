"""Requests to OpenAI-compatible servers without DSPy's overhead."""
