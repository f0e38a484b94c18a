"""Testbeds: Molecule's scenarios, what their hosts are, and how a person runs them."""
