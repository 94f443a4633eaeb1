//! The catalog is data, so every folder of it is looked at in every place where it can be.

mod hostile;
mod matrix;
mod rules;
mod served;
mod taken;
