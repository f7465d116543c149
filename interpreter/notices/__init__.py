"""What the interpreter says in its own name: when, to whom, with whose voice."""
