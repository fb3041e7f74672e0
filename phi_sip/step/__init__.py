"""`sip_update_weights`: one weight update, from y* down to the new weights."""
