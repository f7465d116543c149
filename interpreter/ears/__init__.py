"""What of a microphone is heard: without our own voice, and whether somebody speaks."""
