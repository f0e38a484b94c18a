"""A NES program of our own that logs its pads: the assembler, the program and the layout of its RAM."""
