"""s_val of F as it stood at one step, solved between steps or beside them."""
