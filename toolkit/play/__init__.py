"""The player's side: finds RetroArch, judges its cores and firmware, and starts it for a relay's room."""
