"""The relay on its sockets: accepts, forwards, runs games without a host, and is asked."""
