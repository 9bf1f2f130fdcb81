"""Hand-written faults of tm itself: the engine is awake when it finds every one of them."""
