"""Other firewalls of the host: what they do with the relay's ports, opening them there, undoing that."""
