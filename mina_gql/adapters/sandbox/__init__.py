"""Where files from outside are decoded: child processes with little memory and time, and no secrets (DESIGN section 8).

`pool` is the parent's side; `child`, `pictures` and `clips` run in the children. Nothing is imported here: a child starts faster.
"""
