"""Images: read, decoded, divided, batched. A wrong file is a ValueError."""
