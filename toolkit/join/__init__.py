"""What everybody types to play, as lines, tables and codes."""
