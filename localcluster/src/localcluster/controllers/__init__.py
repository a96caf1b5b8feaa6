"""The controllers and the scheduler: they follow the API and write to it, like the real ones."""
