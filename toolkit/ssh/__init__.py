"""ssh to a host: the connection, its errors, and the bounded typed reader of what a host answers."""
