"""Deploying to a host: the playbook, the release, the proof, and the way back."""
