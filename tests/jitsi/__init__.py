"""A Jitsi server for tests: a real Prosody, with a focus, a bridge and people written from the fact sheet.

The server (`server.py` and what it imports) imports nothing of `webrtc.jitsi`: what is under test must not be tested
against itself. `guest.py` and the `test_join…` files are the bot on that server.
"""
