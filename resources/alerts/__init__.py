"""Messages to people, by a webhook."""
