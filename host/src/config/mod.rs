//! Configuration: raw text becomes checked values here, and nowhere else.

mod problem;

pub use problem::{Problem, Problems};
