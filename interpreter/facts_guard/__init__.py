"""Whether the facts that must not change in interpreting came through: heard against spoken, by rule."""
