"""The one door for physical removal: plans first, marks, waits, then erases; refused while any vault is unverified."""
