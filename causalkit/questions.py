"""Quick-check questions on graphs and do-calculus, which mark themselves."""

__all__: list[str] = []
