"""What the folder of a trained inverse says of itself."""

KIND = "trained inverse"
FORMAT = 2  # weights are in safetensors; 1, where it is not said: in NumPy's, Keras' and PyTorch's own formats
