"""What the relay on a host is doing, as tables."""
