"""Identification: from a causal question and a graph to a formula over what is observed, with its derivation."""

__all__: list[str] = []
