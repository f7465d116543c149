"""How a checkpoint is evaluated: what is played to it, who listens, and what is counted."""
