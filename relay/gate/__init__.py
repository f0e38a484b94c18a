"""The gate: from the owner's list of friends to who may connect."""
