"""Who is let in, worked out without touching the host: friends.toml, expiry, DNS names, the plan."""
