"""What xbps-src, xlint and pkglint would object to, as far as the files show it (docs/packaging.md, Lint)."""

from toolkit.xbps.lint.check import RULES, lint, packages_below
from toolkit.xbps.lint.parse import Finding

__all__ = ["RULES", "Finding", "lint", "packages_below"]
