"""HTTP, the door of the API: who may ask, and how requests come in and responses go out."""
