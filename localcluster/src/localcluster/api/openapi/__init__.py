"""OpenAPI: the schema of the API, in the forms in which clients ask for it."""
