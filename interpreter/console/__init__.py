"""The operator console: rooms, people and directions as they stand, and commands, over HTTP and a WebSocket."""
