"""The three rules of do-calculus, decided by d-separation in mutilated graphs."""

__all__: list[str] = []
