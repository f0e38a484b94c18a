"""The invoke tasks, one module for each noun; tasks.py at the top composes them."""
