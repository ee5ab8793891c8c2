"""The table of values: what each type takes, and what becomes of it. The gateway has its twin.

The twin is `src/domain/signature`. A property test compares both; a change here needs one there.
"""
