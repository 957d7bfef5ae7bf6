"""How a decision becomes durable: the processor, its ports, dead letters, lifecycle."""
