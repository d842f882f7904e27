"""The inputs of the service's endpoints: the inputs under the project's own names, their limits, and the wire bodies."""
