"""Tables of `kubectl get`: which columns each kind has, and how its rows are printed."""
