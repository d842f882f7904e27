"""What a request will cost: what decides its price, what the catalogue says about it, and what earlier ones cost. Pure."""
