"""A plan of trainings, what is recorded of them, statistics and the choice."""
