"""How the language model learns: from dialogues as tokens to weights as they are served."""
