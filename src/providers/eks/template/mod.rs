//! The template of the stack: typed values in, JSON out, the same bytes for the same values.
