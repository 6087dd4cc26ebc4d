"""One row of a table with one seed: what it trains on, and its whole state."""
