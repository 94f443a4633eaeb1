//! The one integration test binary.

mod profiles;
