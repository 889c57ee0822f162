"""Salvage: uniting fragments of damaged copies; whatever record proves itself is used, from whichever copy has it.

    places ──► shelf ──► unite ──► replay ──► build
    (what lies there)    (pure)    (pure)     (into an empty place, proven)

Everything that proves itself, in any place, is put on one shelf; then each account is united from it by itself.
"""
