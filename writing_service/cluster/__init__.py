"""One service on many replicas: what they tell each other, and a generator whose models are elsewhere. Knows no Ray."""
