"""Doctor–patient dialogues replayed against the interpreter and scored."""
