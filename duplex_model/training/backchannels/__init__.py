"""What the detector of backchannels learns from, and the network that it is."""
