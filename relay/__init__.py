"""netplay-relay: a RetroArch netplay relay that is open to friends and closed to everybody else."""

__version__ = "0.1.0"
