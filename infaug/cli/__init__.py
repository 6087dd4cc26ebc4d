"""Commands: argv in, text out. `commands` lists them; each has a file of its own."""
