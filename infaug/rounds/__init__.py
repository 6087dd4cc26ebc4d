"""The alternation that every process runs, and what it does between the steps."""
