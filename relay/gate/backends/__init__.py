"""The packet filters a host may have: nftables, iptables with and without ipset."""
