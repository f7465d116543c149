"""The interpreter: participants, sessions and mixes on one clock. The only package that knows both leaves."""
