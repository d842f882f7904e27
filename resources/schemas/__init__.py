"""What the service's endpoints take: the inputs under the project's own names, their limits, and the wire bodies."""
