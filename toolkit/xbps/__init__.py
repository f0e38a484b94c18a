"""Packages for Void Linux: templates for xbps-src, their lint, the source tarball, and ready .xbps packages."""
