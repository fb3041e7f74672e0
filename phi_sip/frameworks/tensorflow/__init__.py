"""TensorFlow with Keras."""
