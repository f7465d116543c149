"""Roles: who the interpreter is in a meeting, as versioned bundles of YAML.

`role` says what a bundle holds, `library` reads and finds bundles, `scripts` fills in what is said, `checksum` names
exactly which interpreter spoke. What a role asks for is done by code elsewhere; the model is told little.
"""
