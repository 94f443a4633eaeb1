//! Tests against real programs, in one binary.

mod providers;
