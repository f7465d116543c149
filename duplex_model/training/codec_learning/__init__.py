"""How the codec learns: what it hears, its losses, its steps, and what it is worth."""
