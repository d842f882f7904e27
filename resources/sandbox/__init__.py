"""A local stand-in for the service: a server that speaks the Model API and renders real, simple videos."""
