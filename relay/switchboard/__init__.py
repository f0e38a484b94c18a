"""Who is connected to whom, decided without touching a socket."""
