"""How the checkpoint of this repository was made: data, codec, language model, evaluation. Not used at run time."""
