"""Checks of learned SCMs: errors, axioms, and controls that must fire."""

__all__: list[str] = []
