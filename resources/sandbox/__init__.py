"""The service's stand-in: a local server that speaks the Model API and renders real, simple videos."""
