"""Netplay's commands on a link, read without touching a socket: framing, releases, what is observed."""
