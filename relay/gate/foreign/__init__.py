"""Would somebody else's rules let a stranger's first packet reach a port? Pure: read from what nft and iptables print.

A table of ours can only take away: what it accepts still meets every other filter. So each chain of others at the
input hook is walked with the packet that matters, the first of a TCP connection to the port (or a datagram) from an
address nobody has heard of, not on loopback.
"""
