"""What the folder of a trained inverse says of itself."""

KIND = "trained inverse"
# 3: it says what the network is shown; 2: weights are in safetensors; 1, where it is not said: in NumPy's, Keras' and
# PyTorch's own formats.
FORMAT = 3
