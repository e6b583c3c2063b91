"""`python -m causalkit.cli`."""

from causalkit.cli import app

app()
