"""From noise to pictures: many of them at once, step by step."""
