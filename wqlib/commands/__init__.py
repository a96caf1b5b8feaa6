"""`wqlib …`: one module a group of commands; `cli` finds the one that is asked for."""
