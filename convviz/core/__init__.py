"""What layers are and what they do: numpy only, no Qt, no torch."""
