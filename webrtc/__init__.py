"""Rooms, peers and packets: every participant's audio in as its own track, one mix out to each listener.

Knows no tensors, no models and no languages. `room` is the public face: a `Room` reports events and hands out
`IncomingAudio` to pull frames from and `OutgoingAudio` to play frames into.
"""
