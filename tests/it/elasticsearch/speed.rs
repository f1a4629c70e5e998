//! Figures: see below.
