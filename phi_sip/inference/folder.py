"""What the folder of a trained inverse says of itself."""

KIND = "trained inverse"
# What a folder needs to be read: 4: a guard or an interval; 3: what the network is shown, if not the observation as it
# is; 2: weights in safetensors; 1, where it is not said: weights in NumPy's, Keras' and PyTorch's own formats.
WITH_LIMITS, WITH_INPUTS, WITHOUT = 4, 3, 2
FORMAT = WITH_LIMITS
