//! **Owns** everything that people and programs read: the printer, progress, plans, status,
//! reports, faults, tables and words.
//! **May name** base, flow, engine, verify, plan.
//! **Never** decides anything: what is shown, in which colour and how wide enters as values.
//! **Start reading at** [`Printer`], then [`plan`] and [`progress`].

pub mod addons;
mod complaint;
pub mod images;
pub mod inventory;
mod paint;
pub mod plan;
mod printer;
pub mod progress;
pub mod report;
pub mod status;
mod table;
pub mod verify;
pub mod words;

pub use complaint::Complaint;
pub use paint::Paint;
pub use printer::Printer;
pub use table::Table;
