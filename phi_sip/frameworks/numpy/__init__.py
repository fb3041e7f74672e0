"""NumPy: the framework of states that are not trained on."""
