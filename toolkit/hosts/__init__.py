"""Hosts that are deployed to: names, logins, files of the owner's, sessions."""
