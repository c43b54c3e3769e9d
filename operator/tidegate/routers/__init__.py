"""Traffic routers. Each is pure: given the objects, it answers what they show and which patch changes them."""
