"""`sip_inverse`, and what it does unless a plugin takes over."""
