"""What runs on the owner's machine: deploying, the lab, and what players have to type."""
