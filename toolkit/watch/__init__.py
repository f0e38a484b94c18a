"""`invoke watch`: what happens on a relay while it happens, and a report card when a session is over.

story.py makes sentences and cards of the states that the relay sends; stream.py gets them over one ssh connection;
screen.py and plain.py show them.
"""
