"""What a running relay tells: status, metrics, reports, and those who follow it."""
