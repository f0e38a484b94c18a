"""The relay's own protocols, built and parsed: RetroArch's tunnel words and its LAN discovery."""
