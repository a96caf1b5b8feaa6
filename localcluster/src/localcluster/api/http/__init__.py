"""HTTP: who may ask, what a request says, what goes back."""
