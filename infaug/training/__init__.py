"""One training: its state, the alternation, refreshes of s_val, review and ledger."""
