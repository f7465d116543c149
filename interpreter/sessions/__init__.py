"""The engine's sessions, and what they say until its time has come."""
