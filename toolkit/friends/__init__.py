"""The owner's friends.toml: read, edited, pushed to a host."""
