"""`invoke doctor`: why it does not work, as an ordered list of findings with evidence and cure.

gather.py collects everything once, into a Case; each module of findings/ looks at the Case and says what it finds.
Adding a finding is adding a file there, with a function `look`, and its name to ORDER.
"""
